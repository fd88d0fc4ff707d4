"""What a shop with invoices is asked to be in; a file of its sales, and the laws behind it, out."""

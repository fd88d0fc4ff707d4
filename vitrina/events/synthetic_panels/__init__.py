"""What a bank is asked to be in; its monthly panel as a file, and the laws behind it, out."""

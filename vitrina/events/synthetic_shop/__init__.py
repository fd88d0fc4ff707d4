"""What an online shop is asked to be in; RetailRocket's files of such a shop, and its oracle, out."""

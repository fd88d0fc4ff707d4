"""Files of sales in; validated baskets, held-out carts and splits by time out."""

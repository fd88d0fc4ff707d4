"""The companions of carts measured: their training, their quality, and their serving."""

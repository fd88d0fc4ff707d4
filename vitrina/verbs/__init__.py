"""What the command line does: a module for each group of verbs, what they share, and how a person follows them."""

"""What the DAGs' tasks do: start `vitrina` in its own environment, and tell people how it went."""

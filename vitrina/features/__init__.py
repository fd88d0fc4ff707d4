"""What is known of users and items at `as_of`. In: prepared events. Out: histories and dense item tables."""

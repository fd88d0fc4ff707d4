"""The answer: candidates -> rules -> features -> rank -> top-k. One recommender, used offline and online."""

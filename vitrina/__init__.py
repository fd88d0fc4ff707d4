"""Vitrina: a recommender stack that a team runs on its own events."""

__version__ = "0.1.0"

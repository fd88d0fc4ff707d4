"""How good lists are. In: lists and what really happened. Out: metrics per user, tables, intervals, a verdict."""

"""How good lists are. In: lists and what really happened. Out: metrics per user, tables, intervals, the gate's verdict."""

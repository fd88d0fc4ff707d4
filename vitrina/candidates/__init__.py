"""Recall: which of all items could be wanted. In: the past. Out: fitted sources, and the union of their candidates."""

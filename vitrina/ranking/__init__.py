"""Order: how much this visitor wants each candidate. In: candidates and tables. Out: scores, the same offline and
online."""

"""The bank's scenario measured: its training, the quality of what it learns, and its serving."""

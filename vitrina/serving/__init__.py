"""The online side of the flow: precomputed lists, the fallback chain, the served state and the watcher that swaps it."""

"""The online side: precomputed lists, the fallback chain, the served state and the watcher that swaps it."""

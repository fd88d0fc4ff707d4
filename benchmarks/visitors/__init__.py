"""A shop's visitors against a real service: drawn in Python, played by k6, counted on both sides."""

"""Every metric name of the product, and the objects that count under those names."""

"""Speed, growth and quality, measured by one command: `python -m benchmarks`."""

"""Grafana's dashboards as Python: `python -m monitoring.grafana` writes dashboards/*.json from them."""

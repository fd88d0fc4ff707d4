#!/bin/sh
# Where the stack's parts are, as .env has them.
set -eu
setting() { # NAME DEFAULT
  value=$(sed -n "s/^$1=//p" .env | tail -1)
  echo "${value:-$2}"
}
host=$(setting VITRINA_BIND 127.0.0.1)
cat <<TEXT

The stack is healthy.
  service     http://$host:$(setting VITRINA_PORT 8000)     /docs has the routes; it answers 503 until a first training
  Airflow     http://$host:$(setting AIRFLOW_PORT 8080)     user $(setting AIRFLOW_ADMIN_USER admin), password: grep AIRFLOW_ADMIN_PASSWORD .env
  MLflow      http://$host:$(setting MLFLOW_PORT 5000)
  Grafana     http://$host:$(setting GRAFANA_PORT 3000)     user $(setting GRAFANA_ADMIN_USER admin), password: grep GRAFANA_ADMIN_PASSWORD .env
  Prometheus  http://$host:$(setting PROMETHEUS_PORT 9090)
Train: open the DAG storefront in Airflow and press Trigger. docs/operate.md tells the rest.
TEXT

#!/bin/sh
# The MLflow server: runs and registry in PostgreSQL, files in S3. Clients send and fetch files through it, so only it has
# the key to the bucket. Also without a container: set the variables, then `sh mlflow_server/run_mlflow.sh`.
set -eu

# Settings that MLflow reads itself; a password in the environment is in no list of processes.
: "${MLFLOW_BACKEND_STORE_URI:?an SQLAlchemy address, for example postgresql+psycopg2://mlflow:PASSWORD@localhost:5432/mlflow}"
: "${MLFLOW_ARTIFACTS_DESTINATION:=s3://vitrina-models}"
export MLFLOW_BACKEND_STORE_URI MLFLOW_ARTIFACTS_DESTINATION
case $MLFLOW_ARTIFACTS_DESTINATION in
s3://*)
  : "${AWS_ACCESS_KEY_ID:?the key of the bucket}" "${AWS_SECRET_ACCESS_KEY:?the secret of the bucket}"
  # An address beside AWS: MLFLOW_S3_ENDPOINT_URL=http://localhost:8333
  export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-us-east-1}"
  ;;
esac
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # spares seven processes that nothing here needs
export MLFLOW_DISABLE_TELEMETRY=true

# Names by which clients call the server; others are refused (DNS rebinding).
hosts="localhost,localhost:*,127.0.0.1,127.0.0.1:*${MLFLOW_ALLOWED_HOSTS:+,$MLFLOW_ALLOWED_HOSTS}"

exec mlflow server \
  --host "${MLFLOW_HOST:-127.0.0.1}" --port "${MLFLOW_PORT:-5000}" --workers "${MLFLOW_WORKERS:-2}" \
  --serve-artifacts --allowed-hosts "$hosts"

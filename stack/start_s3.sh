#!/bin/sh
# SeaweedFS with one S3 key for each part of the stack. Everything but the S3 port listens inside the container alone,
# since the other ports ask for no key.
set -eu
umask 077

allow() { # NAME SECRET BUCKET.. : an identity that may use these buckets and no other
  actions=
  for bucket in $3; do
    for action in Read Write List Tagging; do actions="$actions${actions:+, }\"$action:$bucket\""; done
  done
  printf '{"name": "%s", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": [%s]}' "$1" "$1" "$2" "$actions"
}

cat > /tmp/s3.json <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "admin", "secretKey": "$S3_ADMIN_SECRET_KEY"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  $(allow vitrina "$VITRINA_S3_SECRET_KEY" "vitrina-events vitrina-objects"),
  $(allow mlflow "$MLFLOW_S3_SECRET_KEY" "vitrina-models")
]}
JSON

exec weed -logtostderr=true server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 \
  -volume.max=0 -master.volumeSizeLimitMB=1024 -master.telemetry=false \
  -s3 -s3.config=/tmp/s3.json -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.port.iceberg=0 -s3.port.lance=0 -s3.autoCreateBucket=false

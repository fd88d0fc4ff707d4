#!/bin/sh
# stack/backup.sh FOLDER: every database and every bucket as of one moment. The service goes on answering from what it has;
# training, the registry and the object store pause meanwhile.
set -eu
image=$(docker compose config --images | grep '^vitrina/app:' | head -1) # any with tar
to=${1:?usage: stack/backup.sh FOLDER}
umask 077
mkdir -p "$to"
to=$(cd "$to" && pwd)

trap 'docker compose start s3 mlflow airflow-scheduler' EXIT
docker compose stop airflow-scheduler mlflow s3
for database in vitrina airflow mlflow; do
  docker compose exec -T postgres pg_dump --username postgres --format custom "$database" >"$to/$database.dump.part"
  mv "$to/$database.dump.part" "$to/$database.dump"
done
docker run --rm --user 0 --volumes-from "$(docker compose ps --all --quiet s3)" --volume "$to:/backup" --entrypoint tar \
  "$image" -C /data -czf /backup/s3.tar.gz.part .
mv "$to/s3.tar.gz.part" "$to/s3.tar.gz"
echo "written to $to: $(ls "$to" | tr '\n' ' ')"

#!/bin/sh
# stack/restore.sh FOLDER: what stack/backup.sh wrote, in place of whatever is there. Everything is stopped for it.
set -eu
image=$(docker compose config --images | grep '^vitrina/app:' | head -1) # any with tar
from=$(cd "${1:?usage: stack/restore.sh FOLDER}" && pwd)
for file in vitrina.dump airflow.dump mlflow.dump s3.tar.gz; do
  [ -s "$from/$file" ] || { echo "$from/$file is not there; nothing was changed" >&2; exit 1; }
done

docker compose down
docker compose up --detach --wait postgres s3
docker compose stop s3
for database in vitrina airflow mlflow; do
  docker compose exec -T postgres pg_restore --username postgres --dbname "$database" --clean --if-exists --exit-on-error \
    <"$from/$database.dump"
done
docker run --rm --user 0 --volumes-from "$(docker compose ps --all --quiet s3)" --volume "$from:/backup:ro" --entrypoint sh \
  "$image" -c 'find /data -mindepth 1 -delete && tar -C /data -xzf /backup/s3.tar.gz'
echo "restored from $from; start with: make up"

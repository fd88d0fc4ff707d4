#!/bin/bash
# What the official image promises and the stack uses: a new data folder is made with POSTGRES_USER and its password, then
# every script of /docker-entrypoint-initdb.d runs against a server that only the socket reaches.
set -euo pipefail

: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
export POSTGRES_USER POSTGRES_DB

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?the superuser needs a password}"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  initdb --username "$POSTGRES_USER" --pwfile <(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local trust \
    --auth-host scram-sha-256 --encoding UTF8 --pgdata "$PGDATA" > /dev/null
  printf "\nhost all all all scram-sha-256\n" >> "$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\nunix_socket_directories = '/var/run/postgresql, /tmp'\n" >> "$PGDATA/postgresql.conf"
  pg_ctl --silent --pgdata "$PGDATA" --options "-c listen_addresses=''" --wait start
  export PGHOST=/var/run/postgresql
  [ "$POSTGRES_DB" = postgres ] || createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
    *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
    *.sql) psql --set ON_ERROR_STOP=1 --no-password --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --file "$script" ;;
    esac
  done
  unset PGHOST
  pg_ctl --silent --pgdata "$PGDATA" --mode fast --wait stop
fi
exec "$@"

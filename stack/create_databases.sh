#!/bin/bash
# Run by the postgres image when its data folder is new: one database and one role for each part of the stack.
set -euo pipefail

for part in vitrina airflow mlflow; do
  password_of_part="${part^^}_DB_PASSWORD"
  # The password arrives as a psql variable on standard input: in no list of processes, quoted by psql.
  psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
\set part $part
\set password \`printenv $password_of_part\`
CREATE ROLE :"part" LOGIN PASSWORD :'password';
CREATE DATABASE :"part" OWNER :"part";
REVOKE CONNECT ON DATABASE :"part" FROM PUBLIC;
SQL
done
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname vitrina --command 'CREATE EXTENSION IF NOT EXISTS vector'

#!/bin/sh
# Makes .env from .env.example when there is none, and gives every empty secret in it a random value.
set -eu
umask 077

[ -e .env ] || cp .env.example .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env # the last line may lack its end
filled=
for name in $(sed -n '/^# --- secrets/,/^# --- Telegram/s/^\([A-Z0-9_]*\)=.*/\1/p' .env.example); do
  line=$(grep "^$name=" .env || true)
  [ -z "${line#"$name="}" ] || continue
  case $name in
  AIRFLOW_FERNET_KEY) value=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_') ;; # 32 bytes, as Fernet wants them
  AIRFLOW_JWT_SECRET) value=$(head -c 64 /dev/urandom | od -An -v -tx1 | tr -d ' \n') ;;
  *) value=$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n') ;;
  esac
  if [ -n "$line" ]; then
    sed -i.old "s|^$name=\$|$name=$value|" .env && rm -f .env.old
  else
    printf '%s=%s\n' "$name" "$value" >>.env
  fi
  filled="$filled $name"
done
[ -z "$filled" ] || echo "Random secrets were written to .env:$filled"

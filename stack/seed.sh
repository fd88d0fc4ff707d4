#!/bin/sh
# The first data set: the folder that VITRINA_SEED_DATA names, else a generated shop, as long as no events are there.
set -eu

if [ -n "$(ls -A /seed)" ]; then
  data=/seed
  if [ -e /seed/columns.yaml ]; then # a log with its own columns: one file beside their names
    set -- --columns /seed/columns.yaml
    data=/seed/$(ls /seed | grep -vx columns.yaml | head -1)
  fi
  exec vitrina upload --data "$data" --to "$VITRINA_EVENTS_URI" "$@" # does nothing for what is there already
fi
days=$(vitrina events --json | python -c 'import json, sys; print(len(json.load(sys.stdin)["days"]))')
if [ "$days" -gt 0 ]; then
  echo "events of $days days are there already"
  exit
fi
world=$(mktemp -d)
trap 'rm -rf "$world"' EXIT
vitrina generate --out "$world" --events "$SEED_EVENTS"
vitrina upload --data "$world" --to "$VITRINA_EVENTS_URI"

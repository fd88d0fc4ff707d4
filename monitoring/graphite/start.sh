#!/bin/sh
# Carbon and graphite-web of the official image, and nothing else of it: no statsd, no root, no user with a known
# password. The end of one is the end of both, so the container is started again.
set -u
mkdir -p /var/tmp/whisper
cd /var/tmp

/opt/graphite/bin/python3 /opt/graphite/bin/carbon-cache.py --config=/stack/graphite/carbon.conf --debug start &
carbon=$!
PYTHONPATH=/stack/graphite:/opt/graphite/webapp PYTHONDONTWRITEBYTECODE=1 GRAPHITE_SETTINGS_MODULE=web_settings \
  DJANGO_SETTINGS_MODULE=graphite.settings \
  /opt/graphite/bin/gunicorn graphite.wsgi:application --preload --workers 2 --bind 0.0.0.0:8080 --worker-tmp-dir /dev/shm &
web=$!

asked=
trap 'asked=1; kill "$carbon" "$web" 2>/dev/null' TERM INT
while kill -0 "$carbon" 2>/dev/null && kill -0 "$web" 2>/dev/null; do
  sleep 1 &
  wait $!
done
kill "$carbon" "$web" 2>/dev/null
wait
[ -n "$asked" ]

#!/bin/sh
# Carbon and graphite-web of the official image, and nothing else of it: no statsd, no root, no user with a known
# password. The end of one is the end of both, so the container is started again.
set -u
mkdir -p /var/tmp/whisper
rm -f /var/tmp/*.pid # of a carbon that was killed
cd /var/tmp
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/stack/graphite:/opt/graphite/webapp
export GRAPHITE_SETTINGS_MODULE=web_settings DJANGO_SETTINGS_MODULE=graphite.settings

/opt/graphite/bin/python3 /opt/graphite/bin/carbon-cache.py --config=/stack/graphite/carbon.conf --debug start &
carbon=$!
# Its own small database, which it wants even to list series.
/opt/graphite/bin/python3 -m django migrate --run-syncdb --noinput --verbosity 0
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

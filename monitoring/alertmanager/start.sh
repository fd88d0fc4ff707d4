#!/bin/sh
# Starts Alertmanager, with Telegram when the environment has a token and a chat. The token goes into one private file of
# CONFIG_FOLDER, which the stack keeps in memory, and into no log: a failed request is logged with its whole address.
set -eu
umask 077
here=$(dirname "$0")
to=${CONFIG_FOLDER:-/run/alertmanager}
token=${VITRINA_TELEGRAM_TOKEN:-}
chat=${VITRINA_TELEGRAM_CHAT_ID:-}
address=${VITRINA_TELEGRAM_BASE_URL:-https://api.telegram.org}
docs=${VITRINA_DOCS_URL:-}

refuse() {
  echo "$1" >&2
  exit 1
}

telegram() { # NAME SILENT : a receiver
  cat <<YAML
  - name: $1
    telegram_configs:
      - bot_token: '$token'
        chat_id: $chat
        api_url: '$address'
        parse_mode: HTML
        disable_notifications: $2
        message: '{{ template "vitrina.telegram" . }}'
YAML
}

mkdir -p "$to"
cp "$here/telegram.tmpl" "$to/telegram.tmpl"
case $docs in *[\"\'\<\>{}\ ]*) refuse "VITRINA_DOCS_URL is no address" ;; esac
if [ -n "$docs" ]; then
  echo "{{ define \"vitrina.runbook\" }}<a href=\"${docs%/}/{{ . }}\">{{ . }}</a>{{ end }}" >"$to/runbook.tmpl"
else
  echo '{{ define "vitrina.runbook" }}{{ . }}{{ end }}' >"$to/runbook.tmpl"
fi

if [ -z "$token" ] || [ -z "$chat" ]; then
  cp "$here/alertmanager.yml" "$to/alertmanager.yml"
  echo "No message is sent: VITRINA_TELEGRAM_TOKEN and VITRINA_TELEGRAM_CHAT_ID are not both set. Prometheus shows the alerts."
else
  case $token in *[!A-Za-z0-9:_-]*) refuse "VITRINA_TELEGRAM_TOKEN is no token of a bot" ;; esac
  case ${chat#-} in '' | *[!0-9]*) refuse "VITRINA_TELEGRAM_CHAT_ID must be a number: Alertmanager knows no @names" ;; esac
  case $address in *[\'\ ]*) refuse "VITRINA_TELEGRAM_BASE_URL is no address" ;; esac
  { sed '/^receivers:/q' "$here/alertmanager.yml" && telegram critical false && telegram warning true; } >"$to/alertmanager.yml"
  echo "Alerts are sent to the Telegram chat $chat."
fi

without_token() { # copies lines
  while IFS= read -r line; do
    if [ -n "$token" ]; then
      case $line in *"$token"*) line="${line%%"$token"*}TOKEN${line##*"$token"}" ;; esac
    fi
    printf '%s\n' "$line"
  done
}
rm -f "$to/log"
mkfifo "$to/log"
without_token <"$to/log" &
unset VITRINA_TELEGRAM_TOKEN
exec "${ALERTMANAGER:-alertmanager}" --config.file="$to/alertmanager.yml" --cluster.listen-address= "$@" >"$to/log" 2>&1

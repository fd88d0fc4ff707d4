"""Answers as Telegram does, and prints each message that it takes as one line of JSON."""

from __future__ import annotations

import json
import sys
import time

from telegram_server import TelegramServer


def main() -> None:
    """Serves until it is stopped."""
    server = TelegramServer(host="0.0.0.0", port=8081)
    told = 0
    while True:
        for message in server.messages[told:]:
            sys.stdout.write(json.dumps(message.fields) + "\n")
            told += 1
        time.sleep(0.2)


if __name__ == "__main__":
    main()

"""A local Bot API server that answers over real HTTP: well, slowly, with 429, with 400, or not at all."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

TOKEN = "1234567:local-bot-for-tests"
CHAT_ID = "-1001"
LONGEST = 4096
BOT = {"id": 1234567, "is_bot": True, "first_name": "Vitrina", "username": "vitrina_bot"}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message that the server has taken, and when (seconds of the monotonic clock)."""

    text: str
    fields: dict[str, str]
    at: float


class TelegramServer:
    """`mode` is "ok", "slow" (answers after `delay` seconds), "busy" (429 with `retry_after`) or "refuse" (400)."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.mode = "ok"
        self.delay = 30.0
        self.retry_after = 5
        self.messages: list[Sent] = []
        self.asked: list[tuple[float, str]] = []
        """When each request arrived, and the mode in which it was answered."""
        self._host = host
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens, on the same port every time."""
        server = ThreadingHTTPServer((self._host, self._port), self._handler())
        server.daemon_threads = True
        self._port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def of(self, run_id: str) -> list[Sent]:
        """The messages that name a run."""
        return [one for one in self.messages if run_id in one.text]

    def _answer(self, method: str, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append((time.monotonic(), self.mode))
        if method == "getMe":
            return 200, {"ok": True, "result": BOT}
        if method != "sendMessage":
            return 404, {"ok": False, "error_code": 404, "description": "Not Found"}
        if self.mode == "busy":
            waits = {"retry_after": self.retry_after}
            text = f"Too Many Requests: retry after {self.retry_after}"
            return 429, {"ok": False, "error_code": 429, "description": text, "parameters": waits}
        text = fields.get("text", "")
        if self.mode == "refuse" or fields.get("chat_id") != CHAT_ID or not 0 < len(text) <= LONGEST:
            return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
        self.messages.append(Sent(text=text, fields=fields, at=time.monotonic()))
        if self.mode == "slow":
            time.sleep(self.delay)
        chat = {"id": int(CHAT_ID), "type": "group", "title": "shop"}
        sent = {"message_id": len(self.messages), "date": 1_700_000_000, "chat": chat, "text": text}
        return 200, {"ok": True, "result": sent}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        telegram = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                bot, _, method = self.path.removeprefix("/").partition("/")
                if bot == f"bot{TOKEN}":
                    code, answer = telegram._answer(method, _fields(body, self.headers.get_content_type()))
                else:
                    code, answer = 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
                content = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the tests look at what has arrived."""

        return Handler


def _fields(body: str, kind: str) -> dict[str, str]:
    """What a form or JSON says; Telegram takes both."""
    if kind == "application/json":
        said = json.loads(body)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}
    return dict(parse_qsl(body))

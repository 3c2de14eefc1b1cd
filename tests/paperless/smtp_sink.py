"""A mail server that keeps what it is sent."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socketserver
import threading
from typing import TYPE_CHECKING

from tests.servers.base import HOST, server_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


class SmtpSink:
    """The mails that have arrived."""

    def __init__(self) -> None:
        self.port = 0
        self._mails: list[EmailMessage] = []
        self._changed = threading.Condition()

    def add(self, content: bytes) -> None:
        """Keep a mail."""
        with self._changed:
            self._mails.append(email.message_from_bytes(content, policy=email.policy.default))
            self._changed.notify_all()

    def attachments(self, subject: str, timeout: float) -> list[bytes]:
        """Return the attachments of the first mail with this subject; wait for it."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: self._with(subject), timeout)
            assert arrived, f"no mail {subject!r} came within {timeout} s"
            mail = self._with(subject)[0]
        return [part.get_payload(decode=True) for part in mail.iter_attachments()]  # type: ignore[misc]

    def _with(self, subject: str) -> list[EmailMessage]:
        return [mail for mail in self._mails if mail["Subject"] == subject]


class _Session(socketserver.StreamRequestHandler):
    sink: SmtpSink

    def handle(self) -> None:
        self._say(220, "ready")
        while line := self.rfile.readline(4096):
            word = line[:4].upper().strip()
            if word == b"DATA":
                self._say(354, "end with a dot")
                self.sink.add(self._content())
            elif word == b"QUIT":
                self._say(221, "bye")
                return
            self._say(250, "ok")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, code: int, text: str) -> None:
        self.wfile.write(f"{code} {text}\r\n".encode())


@contextlib.contextmanager
def smtp_sink() -> Iterator[SmtpSink]:
    """Run the server until the end of the block."""
    sink = SmtpSink()
    handler = type("Session", (_Session,), {"sink": sink})
    with socketserver.ThreadingTCPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        sink.port = server.server_address[1]
        with server_thread(lambda: server.serve_forever(0.05), server.shutdown, "smtp-sink"):
            yield sink

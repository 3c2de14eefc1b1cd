"""One connection of libcurl and the exchanges on it, one after the other, each in one thread."""

from __future__ import annotations

import contextlib
import math
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING

import pycurl

from paperfleet.storage.transport.exchange import (
    CutOffError,
    HttpResponse,
    OverdueError,
    TransportError,
)
from paperfleet.storage.transport.failures import EndedTransfer, failure_of
from paperfleet.storage.transport.heads import Head, sent_headers
from paperfleet.storage.transport.names import ascii_url
from paperfleet.storage.transport.outgoing import OutgoingBody, PostedBody
from paperfleet.storage.transport.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.storage.transport.alarm import Alarm
    from paperfleet.storage.transport.exchange import HttpRequest

CONNECT_SECONDS = 20.0
"""Within which a connection is there, its handshake included, unless less is allowed in all."""

_READ_AT_ONCE = 128 * 1024
_SENT_AT_ONCE = 512 * 1024
_MOST_TRIED = 8
"""Addresses of one host that are tried for a connection."""

_TAKES_BODY = {"PUT", "POST", "PATCH"}
"""Without a body their length is told all the same (RFC 9110, 8.6); nginx asks for it."""

_SUCCESS = range(200, 300)


class Line:
    """One connection at a time; an exchange belongs to one thread; ``on_free`` takes the line back.

    libcurl does the HTTP, and never repeats a request by itself here: it may send one again on a
    new connection when one that was open turns out to be dead, which it is not allowed to open.
    """

    def __init__(
        self,
        apply: Callable[[pycurl.Curl], None],
        alarm: Alarm,
        on_free: Callable[[Line, bool], None],
    ) -> None:
        self._apply, self._alarm, self._on_free = apply, alarm, on_free
        self._easy, self._multi = pycurl.Curl(), pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_interest)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._prepared = False
        self._connect_seconds = 0.0
        self._packings = ""
        self._poll = select.poll()
        self._idle_poll = select.poll()
        self._timer: float | None = None
        self._sockets: deque[tuple[int, int]] = deque(maxlen=_MOST_TRIED)
        self.reused = self.answered = False
        self.idle_since = 0.0
        self._number = 0
        self._in_use = 0

    def begin(self, request: HttpRequest, timeout: float, lowest_rate: float) -> HttpResponse:
        """Send a request and return its answer once the head is there.

        Raises ``TransportError``, and what the body raises.
        """
        self.answered = self._done = self._sent = self._second = False
        self._number += 1
        self.reused = True
        self._failed: tuple[int, str] | None = None
        self._pieces: list[bytes] = []
        self._received = 0
        self._head = Head()
        self._patience = Patience(timeout, lowest_rate, self._moved)
        self._alarmed = False
        self._poll.register(self._alarm.fd, select.POLLIN)
        self._outgoing = self._set_up(request, timeout)
        self._multi.add_handle(self._easy)
        while not (self._done or self._head.complete):
            self._step()
        self._check_end()
        if not self._head.complete:
            raise CutOffError("the connection was cut", sent=True)
        self._check_taken()
        if request.streamed:
            self._patience.renew()
        head, number = self._head, self._number
        self._in_use = number

        def leave() -> None:
            self._end(number, reusable=False)

        return HttpResponse(head.status, head.headers, head.cookies, self._body(number), leave)

    def seems_dead(self) -> bool:
        """Say whether the idle connection was closed by the server, or something came unasked.

        libcurl looks at most once a second.
        """
        if not self._sockets:
            return False
        fd, inode = self._sockets[-1]
        try:
            return os.fstat(fd).st_ino == inode and bool(self._idle_poll.poll(0))
        except OSError:
            return False  # libcurl has closed it

    def close(self) -> None:
        """Close the connection, whatever is under way on it."""
        self._easy.close()
        self._multi.close()

    def forget(self) -> None:
        """Let go of the connection of another process (fork): nothing must be said on it."""
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  # a device
            for fd, inode in self._sockets:
                with contextlib.suppress(OSError):  # it was closed long ago
                    if os.fstat(fd).st_ino == inode:
                        os.dup2(nothing.fileno(), fd)

    def _prepare(self) -> None:
        """Set what is the same for all requests; anew only after a body that was read in pieces."""
        easy = self._easy
        easy.reset()
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        easy.setopt(pycurl.PATH_AS_IS, 1)
        easy.setopt(pycurl.TCP_KEEPALIVE, 1)
        easy.setopt(pycurl.TCP_NODELAY, 1)
        easy.setopt(pycurl.BUFFERSIZE, _READ_AT_ONCE)
        easy.setopt(pycurl.UPLOAD_BUFFERSIZE, _SENT_AT_ONCE)
        easy.setopt(pycurl.HEADERFUNCTION, self._on_header)
        easy.setopt(pycurl.WRITEFUNCTION, self._on_body)
        easy.setopt(pycurl.PREREQFUNCTION, self._on_ready)
        easy.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        self._apply(easy)
        self._connect_seconds, self._packings, self._prepared = 0.0, "", True

    def _set_up(self, request: HttpRequest, timeout: float) -> OutgoingBody | PostedBody | None:
        easy = self._easy
        if self._prepared:
            easy.setopt(pycurl.HTTPGET, 1)  # takes back what sends a body, or wants none
        else:
            self._prepare()
        easy.setopt(pycurl.URL, ascii_url(request.url))
        seconds = min(timeout, CONNECT_SECONDS)
        if seconds != self._connect_seconds:
            easy.setopt(pycurl.CONNECTTIMEOUT_MS, math.ceil(seconds * 1000))
            self._connect_seconds = seconds
        if request.method == "HEAD":
            easy.setopt(pycurl.NOBODY, 1)
        easy.setopt(pycurl.CUSTOMREQUEST, request.method)
        lines, length, packings = sent_headers(request.headers)
        easy.setopt(pycurl.HTTPHEADER, lines)
        if packings != self._packings:
            easy.setopt(pycurl.ACCEPT_ENCODING, packings)
            self._packings = packings
        content = request.body() if request.body is not None else None
        if content is None and request.method in _TAKES_BODY:
            content = b""
        if content is None:
            return None
        if isinstance(content, bytes):
            return PostedBody(easy, content, length)
        self._prepared = False
        return OutgoingBody(easy, content, length)

    def _step(self) -> None:
        """Wait for the next thing to happen, and let libcurl take it."""
        began, had_head = time.monotonic(), self._head.complete
        seconds = self._patience.left
        if self._timer is not None:
            seconds = min(seconds, self._timer - began)
        if self._alarmed:
            seconds = min(seconds, self._alarm.left())
        if seconds > 0:
            for fd, events in self._poll.poll(math.ceil(seconds * 1000)):
                if fd == self._alarm.fd:
                    self._alarmed = True
                    self._poll.unregister(fd)
                else:
                    self._act(fd, _meaning_of(events))
        if self._timer is not None and time.monotonic() >= self._timer:
            self._timer = None
            self._act(pycurl.SOCKET_TIMEOUT, 0)
        well = self._patience.spend(time.monotonic() - began)
        if not (well or self._done or self._head.complete is not had_head):
            raise self._overdue()
        if self._alarmed and not self._done and self._alarm.left() <= 0:
            raise CutOffError("it was broken off, as the program ends", sent=self._sent)

    def _act(self, fd: int, events: int) -> None:
        if self._done:
            return
        _, running = self._multi.socket_action(fd, events)
        if running:
            return
        _, done, failed = self._multi.info_read()
        if done or failed:
            self._done = True
            self._failed = (failed[0][1], failed[0][2]) if failed else None

    def _body(self, number: int) -> Iterator[bytes]:
        read = False
        try:
            while self._in_use == number and not self._done:
                yield from self._taken_pieces()
                if self._in_use == number and not self._done:
                    self._step()
            if self._in_use != number:
                raise CutOffError("the answer was closed before it was read", sent=True)
            yield from self._taken_pieces()
            self._check_end()
            read = True
        finally:
            self._end(number, reusable=read)

    def _taken_pieces(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _overdue(self) -> TransportError:
        if self._sent:
            return OverdueError("no answer within the time allowed", sent=True)
        return OverdueError("no connection within the time allowed", sent=False)

    def _check_end(self) -> None:
        if self._outgoing is not None and self._outgoing.error is not None:
            raise self._outgoing.error
        if not self._done or self._failed is None:
            return
        code, message = self._failed
        raise failure_of(
            EndedTransfer(
                code,
                message,
                self._easy.getinfo(pycurl.OS_ERRNO),
                self._easy.getinfo(pycurl.HTTP_CONNECTCODE),
                self._sent,
                self._second,
                fresh_tls=self._is_fresh_tls(),
            )
        )

    def _is_fresh_tls(self) -> bool:
        if self.reused or self.answered or not self._sent:
            return False
        return int(self._easy.getinfo(pycurl.APPCONNECT_TIME_T)) > 0

    def _check_taken(self) -> None:
        """Refuse a success that was told before the server can have read the whole body."""
        if self._outgoing is None or self._head.status not in _SUCCESS:
            return
        if self._easy.getinfo(pycurl.SIZE_UPLOAD_T) < self._outgoing.length:
            raise CutOffError("the server answered before it had read the whole body", sent=True)

    def _end(self, number: int, *, reusable: bool) -> None:
        """Take the exchange off the connection, which is closed unless it was read to its end.

        Nothing, when that was done before: the line may be another exchange's by now.
        """
        if self._in_use != number:
            return
        self._pieces.clear()
        self._in_use = 0
        self._multi.remove_handle(self._easy)
        if isinstance(self._outgoing, PostedBody):
            self._outgoing.let_go()
        if not self._alarmed:
            self._poll.unregister(self._alarm.fd)
        self._on_free(self, reusable)

    def _moved(self) -> int:
        return self._received + int(self._easy.getinfo(pycurl.SIZE_UPLOAD_T))

    # what libcurl calls; an exception in here would only be printed

    def _on_interest(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            with contextlib.suppress(KeyError):
                self._poll.unregister(fd)
            return
        events = select.POLLIN if what & pycurl.POLL_IN else 0
        self._poll.register(fd, events | (select.POLLOUT if what & pycurl.POLL_OUT else 0))

    def _on_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _on_socket(self, fd: int, _purpose: int) -> int:
        if self._sent:
            self._second = True
            return pycurl.SOCKOPT_ERROR
        self.reused = False
        self._sockets.append((fd, os.fstat(fd).st_ino))
        self._idle_poll = select.poll()
        self._idle_poll.register(fd, select.POLLIN)
        return pycurl.SOCKOPT_OK

    def _on_ready(self, *_addresses: object) -> int:
        if self._sent:
            self._second = True
            return pycurl.PREREQFUNC_ABORT
        self._sent = True
        return pycurl.PREREQFUNC_OK

    def _on_header(self, line: bytes) -> None:
        if self._sent:  # before that, a proxy speaks
            self.answered = True
            self._head.add(line)

    def _on_body(self, piece: bytes) -> None:
        self._received += len(piece)
        self._pieces.append(piece)


def _meaning_of(events: int) -> int:
    """Return what libcurl calls the events of poll(2)."""
    meant = pycurl.CSELECT_OUT if events & select.POLLOUT else 0
    if events & ~select.POLLOUT:
        meant |= pycurl.CSELECT_IN
    return meant

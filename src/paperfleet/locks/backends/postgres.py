"""Leases in one PostgreSQL database.

A holder has both: an advisory lock of its session, on a connection of its own (PostgreSQL manual,
"Advisory Locks"), and a row of the table ``paperfleet_lease`` that says until when. The lock alone
would be free the moment the server ends a session, before the holder knows; the row alone would go
by the server's clock, which somebody may set forward. The row also has the generation. The table is
made at first use; where the user may not, the error says the statement.

A connection that is cut loses the lease, and the next heartbeat finds that out. The server ends
the session of a holder that is silent for as long as its lease lasts (``idle_session_timeout``,
PostgreSQL 14 and newer); an older server waits until the connection of a stopped process ends.

Limits: *poolers*. The connection must lead to the server; through PgBouncer and its like a session
is not one's own, so they are recognised and refused. *Failover*. A replica that takes over may not
have heard of the newest lease unless replication is synchronous; then there can be two holders for
the time of one lease. Generations of a database that was restored from an older backup do not go
back, because none is smaller than the server's milliseconds since 1970. Advisory locks and the
table are per database: all holders must use the same.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from paperfleet.diagnosis import Check
from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.locks.backends import postgres_diagnosis
from paperfleet.locks.backends.postgres_session import PostgresSession, key_of, source
from paperfleet.locks.protocol import Granted, LeaseRefused

if TYPE_CHECKING:
    from paperfleet.secret import Secret


_MOST_SPARE = 4


class PostgresLeases:
    """Keeps leases in the database at ``address``, a libpq URL (``postgresql://…``).

    ``label`` stands for the address in messages. A request is given up after ``timeout`` seconds.
    Nothing is sent before the first use. Raises ``ConfigurationError`` for an address that is none.
    """

    def __init__(self, address: Secret, *, label: str = "PostgreSQL", timeout: float = 5.0) -> None:
        self.label = label
        self._timeout = timeout
        self._lock = threading.Lock()
        self._spare: list[PostgresSession] = []
        self._holding: dict[str, PostgresSession] = {}
        try:
            self._parameters = conninfo_to_dict(address.reveal())
        except psycopg.ProgrammingError:  # without its text, which may quote the address
            raise ConfigurationError(
                f"the address of {label} is none that PostgreSQL takes",
                hint="Such as postgresql://user:password@host:5432/database",
            ) from None

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        """See ``LeaseBackend``."""
        while True:
            session, used = self._session()
            try:
                answer = _take(session, name, owner, ttl)
                break
            except BaseException as error:
                session.close()
                if used and isinstance(error, LeaseError):  # the server has ended it meanwhile
                    continue
                raise
        if isinstance(answer, Granted):
            self._holding[owner] = session
        else:
            self._spare_or_close(session)
        return answer

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:
        """See ``LeaseBackend``; without the connection the lease is lost."""
        session = self._holding.get(owner)
        if session is None:
            return False
        parameters = {"name": name, "generation": generation, "ttl": ttl}
        try:
            return session.change(source("renew"), parameters) == 1
        except LeaseError:
            if session.closed:
                return False
            raise

    def release(self, name: str, owner: str, generation: int) -> None:
        """See ``LeaseBackend``; where that fails the server ends the session by itself."""
        with self._lock:
            session = self._holding.pop(owner, None)
        if session is None or session.closed:
            return
        try:
            session.change(source("release"), {"name": name, "generation": generation})
            _unlock(session, name)
        except BaseException:
            session.close()
            raise
        self._spare_or_close(session)

    def forget(self) -> None:
        """See ``LeaseBackend``: closing a connection here would end the parent's session."""
        _INHERITED.append((self._spare, self._holding))
        self._lock, self._spare, self._holding = threading.Lock(), [], {}

    def close(self) -> None:
        """See ``LeaseBackend``."""
        with self._lock:
            sessions = [*self._spare, *self._holding.values()]
            self._spare, self._holding = [], {}
        for session in sessions:
            session.close()

    def checks(self, ttl: float) -> list[Check]:  # noqa: ARG002  # any length will do here
        """See ``CheckedLeases``."""
        return [Check("server", partial(postgres_diagnosis.looked, self._parameters, self.label))]

    def _session(self) -> tuple[PostgresSession, bool]:
        """Return a session, and whether it is one that was used before."""
        with self._lock:
            if self._spare:
                return self._spare.pop(), True
        return PostgresSession(self._parameters, self.label, self._timeout), False

    def _spare_or_close(self, session: PostgresSession) -> None:
        with self._lock:
            if len(self._spare) < _MOST_SPARE:
                self._spare.append(session)
                return
        session.close()


_INHERITED: list[object] = []
"""Kept, so that no end of an object closes them."""


def _take(session: PostgresSession, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
    parameters = {"name": name, "owner": owner, "ttl": ttl, "key": key_of(name)}
    session.end_when_silent_for(ttl)
    holder = session.value(source("lock"), parameters)
    if holder is not None:
        return LeaseRefused(str(holder))
    generation = session.value(source("take"), parameters)
    if generation is not None:
        return Granted(int(str(generation)))
    holder = session.value(source("wait"), parameters)
    _unlock(session, name)
    return LeaseRefused(f"{holder}, whose connection is gone, until its time is over")


def _unlock(session: PostgresSession, name: str) -> None:
    session.value("SELECT pg_advisory_unlock(%(key)s)", {"key": key_of(name)})

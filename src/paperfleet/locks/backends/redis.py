"""Leases in one Redis, or Valkey, of version 5 or newer.

A lease is the key ``paperfleet:{name}:lease`` with the owner as its value and the lease's time as
its time to live; the key ``paperfleet:{name}:generation`` stays. Every step is one script, which
the server runs as a whole (Redis manual, "Scripting with Lua").

Lost memory: a server that was flushed, started again, or took over as a replica may have forgotten
holders. The key ``paperfleet:memory`` notes the server's run id (Redis manual, "INFO") and since
when it remembers. Where the note is gone or another server's, no lease is given out for the longest
time that a lease may have, so that a holder from before has noticed. The server cannot know that
time any more: it is ``longest_ttl`` in the address, the same for all holders, and no lease may be
longer. A generation is never smaller than the server's milliseconds since 1970, so lost data do not
set it back unless the clock is set back as well.

Limits: *two servers at once*. A replica that takes over while clients still reach the old server
makes two holders; where that must not be, use one Redis without failover, or PostgreSQL.
*Eviction*: a server with ``maxmemory-policy`` other than ``noeviction`` may drop a lease and keep
the note; the holder learns that at its next heartbeat, and the log warns of it. *The server's
clock*: a step forward makes leases run out early.
"""

from __future__ import annotations

import contextlib
import logging
import math
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from paperfleet.diagnosis import Check, ok, problem, warning
from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.locks.protocol import Granted, LeaseRefused
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.diagnosis import CheckResult

LONGEST_TTL = 60.0
"""Seconds that a lease lasts at most, unless the address says otherwise."""
_LONGEST = "longest_ttl"
_MEMORY = "paperfleet:memory"
_KEEP = "Set maxmemory-policy noeviction"

_log = logging.getLogger(__name__)

_MOMENTARY = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ReadOnlyError,
)


class RedisLeases:
    """Keeps leases in the Redis at ``address``: ``redis://``, ``rediss://`` (TLS) or ``unix://``.

    ``longest_ttl=…`` in the query of the address is the longest time in seconds that a lease may
    have; every holder must be told the same. ``label`` stands for the address in messages. A
    request is given up after ``timeout`` seconds. Nothing is sent before the first use. Raises
    ``ConfigurationError`` for an address that is none.
    """

    def __init__(self, address: Secret, *, label: str = "Redis", timeout: float = 5.0) -> None:
        self.label = label
        self._looked = False
        try:
            url, self._longest = _without_longest(address.reveal())
            self._new_client = partial(_client, Secret(url), timeout)
            # Once more at once: a connection from the pool may have died of old age. Every script
            # can run twice.
            self._client = self._new_client(1)
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # refuses options that there are not
        except (ValueError, TypeError):  # without its text, which may quote the address
            raise ConfigurationError(
                f"the address of {label} is none that Redis takes",
                hint=f"Such as redis://:password@host:6379/0?{_LONGEST}={LONGEST_TTL:g}",
            ) from None
        self._take = self._script("take")
        self._renew = self._script("renew")
        self._release = self._script("release")

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        """See ``LeaseBackend``; raise ``ConfigurationError`` for more than the longest time."""
        self._require_not_longer(ttl)
        keys = [_key(name, "lease"), _key(name, "generation"), _MEMORY]
        times = [_milliseconds(ttl), _milliseconds(self._longest)]
        granted, answer = cast("tuple[int, str]", self._take(keys, [owner, *times]))
        self._look_once()
        return Granted(int(answer)) if granted else LeaseRefused(answer)

    def _require_not_longer(self, ttl: float) -> None:
        if ttl > self._longest:
            raise ConfigurationError(
                f"a lease of {ttl:g} s is longer than the longest that {self.label} may give out, "
                f"{self._longest:g} s",
                hint=f"Add {_LONGEST}={ttl:g} to the query of its address, for all holders",
            )

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:  # noqa: ARG002  # the owner has but one
        """See ``LeaseBackend``."""
        return self._renew([_key(name, "lease")], [owner, _milliseconds(ttl)]) == 1

    def release(self, name: str, owner: str, generation: int) -> None:  # noqa: ARG002  # the owner has but one
        """See ``LeaseBackend``."""
        self._release([_key(name, "lease")], [owner])

    def forget(self) -> None:
        """See ``LeaseBackend``; the client sees by itself that it is in another process."""

    def close(self) -> None:
        """See ``LeaseBackend``."""
        self._client.close()

    def _look_once(self) -> None:
        """Warn of a server that may drop leases, the first time that it is used."""
        if self._looked:
            return
        self._looked = True
        with contextlib.suppress(redis.exceptions.RedisError):  # the next take tells what is wrong
            if text := self._drops(self._client):
                _log.warning("%s %s. %s", self.label, text, _KEEP)
            if text := self._forgets(self._client):
                _log.info("%s %s", self.label, text)

    def _drops(self, client: redis.Redis) -> str:
        """Return that the server may drop leases, '' when it does not."""
        memory = cast("dict[str, object]", client.info("memory"))
        policy = memory.get("maxmemory_policy", "noeviction")
        if not memory.get("maxmemory") or policy == "noeviction":
            return ""
        return (
            f"may drop leases when its memory is full (maxmemory-policy {policy}): two holders"
            " could be at work"
        )

    def _forgets(self, client: redis.Redis) -> str:
        """Return that the server forgets leases when it starts again, '' when it does not."""
        if cast("dict[str, object]", client.info("persistence")).get("aof_enabled"):
            return ""
        return (
            "does not keep every change on disk (appendonly no): after each of its restarts leases"
            f" are lost, and nobody gets one for {self._longest:g} s"
        )

    def checks(self, ttl: float) -> list[Check]:
        """See ``CheckedLeases``."""
        return [
            Check("time", lambda: self._check_time(ttl)),
            Check("server", self._check_server),
            Check("scripts", self._check_scripts, needs=("server",)),
            Check("memory", self._check_memory, needs=("server",)),
        ]

    def _check_time(self, ttl: float) -> Iterator[CheckResult]:
        self._require_not_longer(ttl)
        yield ok(f"{ttl:g} s, and {self._longest:g} s are the longest")

    def _check_server(self) -> Iterator[CheckResult]:
        with self._once() as client:
            client.ping()
            found = cast("dict[str, object]", client.info("replication"))
        if found.get("role") not in {None, "master"}:
            yield problem(
                f"this server is a {found['role']}, which takes no writes", "Name the one that does"
            )
        else:
            yield ok("it answers, and takes the password")

    def _check_scripts(self) -> Iterator[CheckResult]:
        """Run a script that does nothing: all that is done of leases is done by scripts."""
        with self._once() as client:
            client.eval("return 1", 0)
        yield ok("this user may run them")

    def _check_memory(self) -> Iterator[CheckResult]:
        with self._once() as client:
            drops, forgets = self._drops(client), self._forgets(client)
        if drops:
            yield problem(f"the server {drops}", _KEEP)
        else:
            yield ok("the server drops no lease when its memory is full")
        if forgets:
            yield warning(f"the server {forgets}", "Set appendonly yes, where that is too long")
        else:
            yield ok("it keeps leases on disk")

    @contextlib.contextmanager
    def _once(self) -> Iterator[redis.Redis]:
        """Yield a client that asks once, as a password is tried once; its errors are ours."""
        with contextlib.closing(self._new_client(0)) as client:
            try:
                yield client
            except redis.exceptions.RedisError as error:
                raise self._translated(error) from None

    def _script(self, name: str) -> Callable[[list[str], list[str | int]], object]:
        script = self._client.register_script(_source(name))

        def run(keys: list[str], arguments: list[str | int]) -> object:
            try:
                return script(keys, arguments)
            except redis.exceptions.RedisError as error:
                raise self._translated(error) from None

        return run

    def _translated(self, error: redis.exceptions.RedisError) -> LeaseError | ConfigurationError:
        if isinstance(
            error, redis.exceptions.AuthenticationError | redis.exceptions.NoPermissionError
        ):
            return ConfigurationError(
                f"{self.label} refuses this user or password: {error}",
                hint="It needs the rights to EVALSHA, EVAL, GET, SET, DEL, PEXPIRE, TIME and INFO",
            )
        if isinstance(error, redis.exceptions.ResponseError) and not isinstance(error, _MOMENTARY):
            return ConfigurationError(f"{self.label} cannot keep leases: {error}")
        return LeaseError(f"{self.label} does not answer: {error}")


def _client(url: Secret, timeout: float, retries: int) -> redis.Redis:
    return redis.Redis.from_url(
        url.reveal(),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        decode_responses=True,
        retry=Retry(NoBackoff(), retries, (redis.exceptions.ConnectionError,)),
    )


def _without_longest(address: str) -> tuple[str, float]:
    """Return the address as the client takes it, and the longest time; raise ``ValueError``."""
    parts = urlsplit(address)
    options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    times = [float(value) for name, value in options if name == _LONGEST]
    if not times:
        return address, LONGEST_TTL
    longest = times[-1]
    if not 0 < longest < math.inf:
        raise ValueError(longest)
    others = urlencode([(name, value) for name, value in options if name != _LONGEST])
    return urlunsplit(parts._replace(query=others)), longest


def _key(name: str, kind: str) -> str:
    return f"paperfleet:{{{name}}}:{kind}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _source(name: str) -> str:
    return (files("paperfleet.locks") / "lua" / f"{name}.lua").read_text(encoding="utf-8")

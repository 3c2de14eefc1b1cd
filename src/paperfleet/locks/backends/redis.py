"""Leases in one Redis, or Valkey, of version 5 or newer.

A lease is the key ``paperfleet:{name}:lease`` with the owner as its value and the lease's time as
its time to live; the key ``paperfleet:{name}:generation`` stays. Every step is one script, which
the server runs as a whole (Redis manual, "Scripting with Lua").

Restarts: a server that lost its data has forgotten the holders. For as long as a lease lasts after
its start (and a second) it gives out none, so that a holder from before has noticed. A generation
is never smaller than the server's milliseconds since 1970, so lost data do not set it back unless
the clock is set back as well.

Limits: *failover*. A replica that takes over may not have heard of the newest lease, so for the
time of one lease there can be two holders; where that must not be, use one Redis without
failover, or PostgreSQL. *Eviction*: a server with ``maxmemory-policy`` other than ``noeviction``
may drop a lease; the holder learns that at its next heartbeat. *The server's clock*: a step forward
makes leases run out early.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.locks.protocol import Granted, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.secret import Secret

_MOMENTARY = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ReadOnlyError,
)


class RedisLeases:
    """Keeps leases in the Redis at ``address``: ``redis://``, ``rediss://`` (TLS) or ``unix://``.

    ``label`` stands for the address in messages. A request is given up after ``timeout`` seconds.
    Nothing is sent before the first use. Raises ``ConfigurationError`` for an address that is none.
    """

    def __init__(self, address: Secret, *, label: str = "Redis", timeout: float = 5.0) -> None:
        self.label = label
        try:
            self._client = redis.Redis.from_url(
                address.reveal(),
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                decode_responses=True,
                # Once more at once: a connection from the pool may have died of old age. Every
                # script can run twice.
                retry=Retry(NoBackoff(), 1, (redis.exceptions.ConnectionError,)),
            )
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # refuses options that there are not
        except (ValueError, TypeError):  # without its text, which may quote the address
            raise ConfigurationError(
                f"the address of {label} is none that Redis takes",
                hint="Such as redis://:password@host:6379/0",
            ) from None
        self._take = self._script("take")
        self._renew = self._script("renew")
        self._release = self._script("release")

    def take(self, name: str, owner: str, ttl: float) -> Granted | Refused:
        """See ``LeaseBackend``."""
        keys = [_key(name, "lease"), _key(name, "generation")]
        granted, answer = cast("tuple[int, str]", self._take(keys, [owner, _milliseconds(ttl)]))
        return Granted(int(answer)) if granted else Refused(answer)

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


def _key(name: str, kind: str) -> str:
    return f"paperfleet:{{{name}}}:{kind}"  # both in one slot of a cluster


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _source(name: str) -> str:
    return (files("paperfleet.locks") / "lua" / f"{name}.lua").read_text(encoding="utf-8")

"""What can go wrong below HTTP: one table from the transport's errors to those of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import (
    ConfigurationError,
    CredentialsError,
    IntegrityError,
    NotAStorageError,
    UnavailableError,
)
from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import (
    NotTrustedError,
    ProxyLoginError,
    TransportError,
    UnusableAddressError,
    WrongSizeError,
)

if TYPE_CHECKING:
    from paperfleet.errors import StorageError

_KINDS: dict[type[TransportError], type[StorageError]] = {
    NotTrustedError: NotAStorageError,
    UnusableAddressError: NotAStorageError,
    ProxyLoginError: CredentialsError,
    WrongSizeError: IntegrityError,
}


def open_transport(
    origin: str,
    *,
    verify: bool | str,
    certificate: str | None,
    connections: int,
    timeout: float,
    lowest_rate: float,
) -> CurlTransport:
    """Return a pool of connections; raise ``ConfigurationError`` for a certificate or a proxy."""
    try:
        return CurlTransport(
            origin,
            verify=verify,
            certificate=certificate,
            connections=connections,
            timeout=timeout,
            lowest_rate=lowest_rate,
        )
    except OSError as error:
        raise ConfigurationError(
            f"the file of certificate authorities {verify!r} cannot be used"
            if isinstance(verify, str)
            else "the certificates cannot be used",
            hint=str(error),
        ) from error
    except ValueError:
        raise ConfigurationError(
            "the proxy that the environment names cannot be used",
            hint="It has to be an http:// or https:// address; see HTTPS_PROXY and NO_PROXY",
        ) from None


def error_of_transport(
    error: TransportError, *, operation: str = "", name: str = "", storage: str = ""
) -> StorageError:
    """Return the error that a failed exchange means; raise it from ``error``."""
    kind = _KINDS.get(type(error), UnavailableError)
    return kind(error.reason, operation=operation, name=name, storage=storage, hint=error.hint)


def was_sent(error: BaseException) -> bool:
    """Say whether the request that failed so may have had its effect at the server."""
    cause = error.__cause__
    return not isinstance(cause, TransportError) or cause.sent

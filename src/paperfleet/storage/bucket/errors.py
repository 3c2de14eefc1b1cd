"""What the errors of obstore mean: one seam, one table.

Sources: Amazon S3 API reference, "Error responses"; the same codes come from MinIO, Ceph, Garage
and others. Azure: "Common REST API error codes". obstore gives the server's answer as text.

The text of obstore's errors is searched, never shown: it can hold parts of a signed request.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import obstore.exceptions as their

from paperfleet.errors import (
    AlreadyExistsError,
    CredentialsError,
    FileAccessError,
    IntegrityError,
    LockedError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    PreconditionFailedError,
    QuotaExceededError,
    StorageError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([\w.]+)\s*</Code>")
_REGION = re.compile(r"<Region>\s*([\w-]+)\s*</Region>")
_METADATA = re.compile(r"http://(169\.254\.\d+\.\d+|\[fd00:ec2::254\]|metadata\.google)")

_BUCKET = "Check the bucket's name, its region and the endpoint"
_KEY = "Check the access key; requests stop here, as failed logins may be counted"
_EXPIRED = "Get new temporary credentials, or use a key that does not expire"
_CLOCK = "Set the clock of this machine (NTP); stores allow for 15 minutes"
_REGION_HINT = "Set region_name to the region of the bucket, and an endpoint_url that fits"
_LATER = "The store asks for fewer requests; fewer threads help"
_CHECKSUM = "Set checksum_algorithm to an empty text for stores that know no checksums"
_RIGHTS = {
    "save": "s3:PutObject",
    "delete": "s3:DeleteObject",
    "move": "s3:GetObject, s3:PutObject and s3:DeleteObject",
    "list": "s3:ListBucket",
}


class Meaning(NamedTuple):
    """Which of our errors it is, in which words, and what to do."""

    kind: type[StorageError]
    reason: str
    hint: str = ""


_NO_BUCKET = Meaning(NotAStorageError, "there is no such bucket", _BUCKET)
_NOT_FOUND = Meaning(NotFoundError, "there is no such file")
_DENIED = Meaning(FileAccessError, "access denied")
_BAD_KEY = Meaning(CredentialsError, "the store does not know this access key", _KEY)
_BAD_SECRET = Meaning(CredentialsError, "the secret key does not fit the access key", _KEY)
_OLD_TOKEN = Meaning(CredentialsError, "the credentials have expired", _EXPIRED)
_SKEWED = Meaning(CredentialsError, "the clocks of the store and of this machine differ", _CLOCK)
_ELSEWHERE = Meaning(NotAStorageError, "the bucket is in another region", _REGION_HINT)
_SLOWER = Meaning(ThrottledError, "too many requests", _LATER)
_DOWN = Meaning(UnavailableError, "the store failed")
_DAMAGED = Meaning(IntegrityError, "other bytes arrived than were sent")
_FULL = Meaning(QuotaExceededError, "the store is full", "Make room, or raise the quota")
_NAME = Meaning(NameRefusedError, "the store does not take this name", "Rename the file")
_BUSY = Meaning(LockedError, "another request changes it")
_EXISTS = Meaning(AlreadyExistsError, "the name is taken")
_CHANGED = Meaning(PreconditionFailedError, "it changed in between")
_TOO_LARGE = Meaning(TooLargeError, "the store does not take a file of this size")
_UNKNOWN_REQUEST = Meaning(StorageError, "the store does not know this request", _CHECKSUM)
_NO_S3 = Meaning(NotAStorageError, "what answers there is no object store", _BUCKET)
_NO_TLS = Meaning(
    NotAStorageError, "the server speaks no TLS", "Write http:// for a store without TLS"
)
_NO_KEY = Meaning(
    CredentialsError,
    "no access key was given, and none was found in the environment, a profile or the machine",
    "Set access_key and secret_key",
)

CODES: dict[str, Meaning] = {
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _NO_BUCKET,
    "ContainerNotFound": _NO_BUCKET,
    "NoSuchKey": _NOT_FOUND,
    "NoSuchVersion": _NOT_FOUND,
    "BlobNotFound": _NOT_FOUND,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AuthorizationPermissionMismatch": _DENIED,
    "InvalidObjectState": Meaning(
        FileAccessError, "the object is archived", "Restore it in the store first"
    ),
    "InvalidAccessKeyId": _BAD_KEY,
    "AuthenticationFailed": _BAD_KEY,
    "SignatureDoesNotMatch": _BAD_SECRET,
    "InvalidToken": _OLD_TOKEN,
    "ExpiredToken": _OLD_TOKEN,
    "TokenRefreshRequired": _OLD_TOKEN,
    "RequestTimeTooSkewed": _SKEWED,
    "RequestExpired": _SKEWED,
    "PermanentRedirect": _ELSEWHERE,
    "TemporaryRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "SlowDown": _SLOWER,
    "TooManyRequests": _SLOWER,
    "RequestLimitExceeded": _SLOWER,
    "BandwidthLimitExceeded": _SLOWER,
    "ServerBusy": _SLOWER,
    "InternalError": _DOWN,
    "ServiceUnavailable": _DOWN,
    "RequestTimeout": _DOWN,
    "BadDigest": _DAMAGED,
    "InvalidDigest": _DAMAGED,
    "IncompleteBody": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "XAmzContentChecksumMismatch": _DAMAGED,
    "Md5Mismatch": _DAMAGED,
    "QuotaExceeded": _FULL,
    "InsufficientCapacity": _FULL,
    "XMinioStorageFull": _FULL,
    "StorageFull": _FULL,
    "KeyTooLongError": _NAME,
    "InvalidObjectName": _NAME,
    "XMinioInvalidObjectName": _NAME,
    "InvalidURI": _NAME,
    "InvalidResourceName": _NAME,
    "EntityTooLarge": _TOO_LARGE,
    "ConditionalRequestConflict": _BUSY,
    "OperationAborted": _BUSY,
    "PreconditionFailed": _CHANGED,
    "ConditionNotMet": _CHANGED,
    "NotImplemented": _UNKNOWN_REQUEST,
    "MethodNotAllowed": _NO_S3,
}
"""The code in the store's own answer → what it means."""

_CONFLICTS = {code for code, meaning in CODES.items() if meaning is _BUSY}
"""Codes of status 409, all of which obstore takes for a name that is taken."""

STATUSES: dict[int, Meaning] = {
    301: _ELSEWHERE,
    307: _ELSEWHERE,
    401: _BAD_KEY,
    403: _DENIED,
    404: _NOT_FOUND,
    405: _NO_S3,
    409: _BUSY,
    412: _CHANGED,
    413: _TOO_LARGE,
    414: _NAME,
    429: _SLOWER,
    501: _UNKNOWN_REQUEST,
    503: _SLOWER,
    507: _FULL,
}
"""The HTTP status, where the answer has no code (RFC 9110)."""

FAULTS: dict[str, Meaning] = {
    "InvalidCertificate": Meaning(
        UnavailableError,
        "the server's certificate is not trusted",
        "Name the file of your certificate authority in verify, or correct the host name",
    ),
    "InvalidContentType": _NO_TLS,
    "CorruptMessage": _NO_TLS,
    "BareRedirect": _ELSEWHERE,
    "ConnectionRefused": Meaning(
        UnavailableError, "the connection was refused", "Check the endpoint, and that it runs"
    ),
    "dns error": Meaning(UnavailableError, "the host has no address", "Check the endpoint"),
    "TimedOut": Meaning(UnavailableError, "there was no answer in time"),
    "deadline has elapsed": Meaning(UnavailableError, "there was no answer in time"),
}
"""What the text of an error without an answer has in it."""

_EXCEPTIONS: tuple[tuple[type[Exception], Meaning], ...] = (
    (their.AlreadyExistsError, _EXISTS),
    (their.PreconditionError, _CHANGED),
    (their.UnauthenticatedError, _BAD_KEY),
    (their.PermissionDeniedError, _DENIED),
    (FileNotFoundError, _NOT_FOUND),
    (their.NotSupportedError, _UNKNOWN_REQUEST),
    (
        their.InvalidPathError,
        Meaning(
            NameRefusedError,
            "there is an object whose key has an empty, '.' or '..' segment or a control character",
            "Rename or remove it with the store's own tools, or set another location",
        ),
    ),
)


def meaning_of(error: BaseException) -> Meaning:
    """Return what an error of obstore means."""
    text = str(error)
    if _METADATA.search(text):
        return _NO_KEY
    code, status = _CODE.search(text), _STATUS.search(text)
    if isinstance(error, their.AlreadyExistsError) and not (code and code[1] in _CONFLICTS):
        return _EXISTS
    if code and code[1] in CODES:
        return _placed(CODES[code[1]], text)
    if status:
        number = int(status[1])
        unknown = _DOWN if number >= 500 else Meaning(StorageError, f"the store answered {number}")
        return STATUSES.get(number, unknown)
    for kind, meaning in _EXCEPTIONS:
        if isinstance(error, kind):
            return meaning
    for sign, meaning in FAULTS.items():
        if sign in text:
            return meaning
    return Meaning(UnavailableError, "the connection failed")


def _placed(meaning: Meaning, text: str) -> Meaning:
    region = _REGION.search(text)
    if meaning is _ELSEWHERE and region:
        return meaning._replace(reason=f"the bucket is in the region {region[1]}")
    return meaning


def translate(error: BaseException, operation: str, name: str, storage: str) -> StorageError:
    """Return our error for one of obstore, without the text of theirs."""
    meaning = meaning_of(error)
    hint = meaning.hint
    if meaning is _DENIED:
        right = _RIGHTS.get(operation, "s3:GetObject and s3:ListBucket")
        hint = f"The key needs the permission {right} for this bucket and location"
    if meaning is _NO_BUCKET:
        name = ""
    return meaning.kind(meaning.reason, operation=operation, name=name, storage=storage, hint=hint)


@contextmanager
def translated(
    operation: str,
    name: str,
    storage: str,
    judged: Callable[[StorageError, int], StorageError] | None = None,
) -> Iterator[None]:
    """Turn an error of obstore into one of ours; all others pass through as they are.

    ``judged`` is given what a store answered, with its HTTP status, and returns what to raise.
    """
    try:
        yield
    except StorageError:
        raise
    except (their.BaseError, FileNotFoundError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the content that was being sent, not of the store
        told = translate(error, operation, name, storage)
        status = _STATUS.search(str(error))
        if judged and status:
            told = judged(told, int(status[1]))
        # Without the cause: its text holds parts of the request.
        raise told from None

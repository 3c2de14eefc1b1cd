"""Which conditional writes a store has, found out by trying."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    PreconditionFailedError,
    Scope,
    StorageError,
)
from paperfleet.storage.bucket import findings
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.bucket.client import ObjectClient

_NO_ETAG = '"00000000000000000000000000000000"'


class Features(NamedTuple):
    """What a store ensures itself, against every other host.

    ``create``: a PUT only where nothing is (If-None-Match: *, RFC 9110, 13.1.2). ``update``: a PUT
    only over a known etag (If-Match). ``copy_new``: a server-side copy only to where nothing is.
    """

    create: bool
    update: bool
    copy_new: bool


NONE = Features(create=False, update=False, copy_new=False)


class Probe:
    """Tries once, with a small object of our own, what the store honours; at most six requests.

    Asks nothing where the process that forked this one knows it already (``storage.findings``).

    A store that ignores a condition writes without an error, so only a refusal counts. The object
    is removed again; where that is not allowed ``sweep`` finds it.
    """

    def __init__(self, client: ObjectClient, known: Features | None = None) -> None:
        self._client = client
        self._known = known
        self._lock = threading.Lock()

    @property
    def creates(self) -> bool | None:
        """Whether the store has conditional creation; None while nothing has been tried."""
        return self._known.create if self._known else None

    def features(self) -> Features:
        """Return what the store has; raise what keeps us from finding out."""
        with self._lock:
            if self._known is None:
                self._known = self._adopted() or self._probed()
            return self._known

    def _adopted(self) -> Features | None:
        found = findings.adopted(self._client.keys.label)
        return None if found is None else Features(*found)

    def _probed(self) -> Features:
        key = self._client.keys.work("probe", uuid.uuid4().hex)
        IN_USE.add(key)
        try:
            found = self._tried(key)
            findings.note(self._client.keys.label, found)
            return found
        finally:
            IN_USE.remove(key)
            self._refused(lambda: self._client.delete(key, "delete", ""))

    def _tried(self, key: str) -> Features:
        if self._refused(lambda: self._put(key, PutCondition(mode="create"))):
            return NONE
        if not self._refused(lambda: self._put(key, PutCondition(mode="create"))):
            return NONE
        update = self._refused(lambda: self._put(key, PutCondition(mode={"e_tag": _NO_ETAG})))
        copy = self._refused(lambda: self._client.copy(key, key, "move", "", overwrite=False))
        return Features(create=True, update=update == _CONDITION, copy_new=copy == _CONDITION)

    def _put(self, key: str, put: PutCondition) -> None:
        self._client.put(key, b"paperfleet", put, "save", "")

    def _refused(self, request: Callable[[], object]) -> str:
        """Say whether and why the store refused; raise what is no answer to the question."""
        try:
            request()
        except (AlreadyExistsError, PreconditionFailedError):
            return _CONDITION
        except StorageError as error:
            if error.scope is Scope.STORAGE or isinstance(error, IntegrityError):
                raise
            return "request"
        return ""


_CONDITION = "condition"

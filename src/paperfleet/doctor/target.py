"""The target beside its own checks: what of the source it would not keep."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from paperfleet.diagnosis import Check, not_tried, of_error, ok, problem, warning
from paperfleet.errors import ConfigurationError, NotAStorageError, Scope, StorageError
from paperfleet.mirror.planning.classify import target_name_of
from paperfleet.running.words import files_text, size_text
from paperfleet.settings.storages import check_apart
from paperfleet.storage.full import full
from paperfleet.storage.names import collision_key, readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult
    from paperfleet.doctor.source import SourceContent
    from paperfleet.storage.protocol import DocumentStorage

APART, ACCESS, NAMES, ROOM = "apart", "access", "names", "room"
_UNLISTED = "what is in the source is not known"


class Source(Protocol):
    """What its checks have found out about the source; ``storage`` None: nothing."""

    content: SourceContent
    storage: DocumentStorage | None


class TargetChecks:
    """The checks of one target; its own come first, then what compares it with the source."""

    def __init__(self, target: DocumentStorage, source: Source) -> None:
        self._target, self._source = full(target), source

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        own = self._target.checks() or [Check(ACCESS, self.access, seconds=60)]
        reading = tuple(check.name for check in own if not check.writes)
        return [
            Check(APART, self.apart),
            *own,
            Check(NAMES, self.names, needs=reading[-1:], seconds=60),
            Check(ROOM, self.room, needs=reading[-1:]),
        ]

    def access(self) -> Iterator[CheckResult]:
        """Ask for a file, where the storage has no checks of its own."""
        self._target.exists("paperfleet")
        yield ok("it answers")
        yield not_tried("this kind of storage has no checks of its own")

    def apart(self) -> Iterator[CheckResult]:
        """Compare the addresses; what writing alone can show, the mirror tries when it starts."""
        if self._source.storage is None:
            yield not_tried(_UNLISTED)
            return
        try:
            check_apart(self._source.storage, self._target)
        except ConfigurationError as error:
            yield of_error(error)
            return
        yield ok("the target is not in the source, nor the source in it, by their addresses")

    def names(self) -> Iterator[CheckResult]:
        """Compare the names of the source with what the target takes."""
        if not self._source.content.complete:
            yield not_tried(_UNLISTED)
            return
        faults = defaultdict[str, list[str]](list)
        alike = defaultdict[str, list[str]](list)
        capabilities = self._target.capabilities
        for name in self._source.content.names:
            if fault := self._target.name_fault(name):
                faults[fault].append(name)
            alike[collision_key(target_name_of(name, capabilities), capabilities)].append(name)
        yield from _refused(faults)
        twins = [name for names in alike.values() if len(names) > 1 for name in names]
        if twins:
            yield problem(
                f"{files_text(len(twins))} have names that the target takes for others of them"
                " (by case, or by the form of an umlaut)",
                "Rename one of each at the source",
                names=twins,
            )
        if not (faults or twins):
            yield ok(
                f"{len(self._source.content.names):,}, and of none is known that it is refused"
            )

    def room(self) -> Iterator[CheckResult]:
        """Compare the room at the target with the size of the source."""
        try:
            with self._target:
                free = self._target.free_bytes()
        except NotAStorageError:
            yield not_tried("it is not there yet")
            return
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            yield not_tried(f"the target may not be asked for it: {error.reason}")
            return
        if free is None:
            yield not_tried("the target tells no limit")
            return
        text = f"{size_text(free)} are free at the target"
        if not free:
            yield problem(text, "Free space there, or raise the quota")
        elif free < self._source.content.size:
            yield warning(
                f"{text}, and the source has {size_text(self._source.content.size)}",
                "Enough if most is there already; else free space there, or raise the quota",
            )
        else:
            yield ok(text)


def _refused(faults: Mapping[str, list[str]]) -> Iterator[CheckResult]:
    for fault, names in sorted(faults.items()):
        yield problem(
            f"{files_text(len(names))} would be refused: {readable(fault)}",
            "Rename at the source",
            names=names,
        )

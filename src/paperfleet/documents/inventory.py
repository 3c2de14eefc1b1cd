"""Brings the index to what paperless-ngx has, with few requests. For one thread.

No list is believed when it shows less than before: of each document that is missing from it,
paperless-ngx is asked by its number. "There is none" (404) is the trash or a delete, "not for you"
(403) is a lost permission, and what a page left out is there still.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from paperfleet.documents.api import DocumentGone, DocumentHidden, DocumentOdd
from paperfleet.documents.lists import NameLists
from paperfleet.documents.rules import KnownDocument, keys_of, nameless_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from paperfleet.documents.api import PaperlessApi
    from paperfleet.documents.index import DocumentIndex, Taken
    from paperfleet.documents.records import ListedDocument
    from paperfleet.documents.rules import Decision, Rules

OVERLAP = timedelta(minutes=5)
"""paperless-ngx stamps a document before its transaction ends: it may appear this much later."""
ASKED_TOGETHER = 4
"""Requests at one time; each is some 20 ms of paperless-ngx's work."""
_PORTION = 20
_ODD_AT_ONCE = 20
"""Documents at which paperless-ngx failed, that are tried again at a time."""
USER = "user"
REPROCESSED = "reprocessed"
FILES_ASKED = "files_asked"
WHOLE_SECONDS = 86_400.0
"""How often everything is compared, with the checksum of every archive."""

_T = TypeVar("_T")
_U = TypeVar("_U")


Touched = dict[str, str | None]
"""Names to look at again, each with the other half of its rename, or None."""


class DocumentsInventory:
    """Asks paperless-ngx what changed, and writes it into the index.

    Each look returns the names that it touched. Raises ``StorageError``; what was learned until
    then is kept, and the next look has to be one at all. ``asked`` and ``to_ask`` say how far it
    is; it ends early when ``go_on`` says no.
    """

    def __init__(
        self,
        api: PaperlessApi,
        index: DocumentIndex,
        rules: Rules,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api, self._index, self._rules, self._go_on = api, index, rules, go_on
        self._newest: datetime | None = None
        self._lists = NameLists()
        self._odd: dict[int, ListedDocument] = {}
        self.asked = self.to_ask = 0

    def look_at_all(self) -> Touched:
        """Compare every document with the index."""
        user, reprocessed = self._api.user(), self._reprocessed()
        self._lists = self._name_lists()
        there = {one.number: one for one in self._api.documents()}
        numbers = self._api.numbers()
        there |= {one.number: one for one in self._api.numbered(numbers - there.keys())}
        # The rules may be other ones than those of the last run.
        touched = self._touched_by(self._index.rename(self._decide))
        # What is gone leaves its name before others want it.
        touched |= self._missing(there.keys() | numbers, hidden=True)
        touched |= self._take(there.values())
        touched |= self._files_if_due(reprocessed)
        self._index.set_fact(USER, user)
        return touched

    def _files_if_due(self, reprocessed: int) -> Touched:
        """Ask for every archive once a day, and when some were made anew.

        Where nothing was known yet, all of it was asked for just now.
        """
        asked, now = self._index.fact(FILES_ASKED), time.time()
        if asked is not None:
            fresh = 0 <= now - asked < WHOLE_SECONDS
            if fresh and reprocessed == self._index.fact(REPROCESSED):
                return {}
        touched = {} if asked is None else self.look_at_files()
        if self._go_on():
            self._index.set_fact(REPROCESSED, reprocessed)
            self._index.set_fact(FILES_ASKED, now)
        return touched

    def _reprocessed(self) -> int:
        """Return which archives were made anew last; version 2 does not tell of it."""
        known = self._index.documents().values()
        return self._api.reprocessed() if any(one.listed.newest for one in known) else 0

    def look_at_changed(self) -> Touched:
        """Look at what was saved since the last look, or a little before it."""
        if self._newest is None:
            return self.look_at_all()
        since = (self._newest - OVERLAP).isoformat()
        return self._take(self._api.documents(modified__gte=since, ordering="modified"))

    def look_for_missing(self) -> Touched:
        """Look which documents came and went, whatever their times say."""
        if self._reprocessed() != self._index.fact(REPROCESSED):
            return self.look_at_all()
        numbers = self._api.numbers()
        touched = self._look_at_lists()
        known = self._index.documents().items()
        seen = {n for n, one in known if not (one.hidden or one.trashed)}
        touched |= self._missing(numbers)
        touched |= self._take(self._api.numbered(numbers - seen - self._odd.keys()))
        return touched | self._ask([*self._odd.values()][:_ODD_AT_ONCE])

    def _look_at_lists(self) -> Touched:
        """Name anew what has the name of something that was renamed: no time tells of that."""
        if not self._rules.needs:
            return {}
        found = self._name_lists()
        if found == self._lists:
            return {}
        self._lists = found
        return self._touched_by(self._index.rename(self._decide))

    def _name_lists(self) -> NameLists:
        found = NameLists(**{kind: self._api.name_list(kind) for kind in self._rules.needs})
        self._rules.check(found)
        return found

    def _decide(self, document: KnownDocument) -> Decision:
        return self._rules.decide(document, self._lists)

    def look_at_files(self, numbers: Iterable[int] | None = None) -> Touched:
        """Ask anew for the files of these documents, of all that have an archive without numbers.

        An archive that is made anew (reprocess) leaves the time of its document as it was.
        """
        known = self._index.documents()
        chosen = numbers if numbers is not None else (n for n in known if known[n].files.archive)
        seen = (known[n] for n in chosen if n in known)
        return self._ask([one.listed for one in seen if not (one.hidden or one.trashed)])

    # What differs

    def _take(self, found: Iterable[ListedDocument]) -> Touched:
        known = self._index.documents()
        to_ask: list[ListedDocument] = []
        same_files: list[KnownDocument] = []
        for one in found:
            changed = datetime.fromisoformat(one.modified)
            self._newest = max(self._newest or changed, changed)
            before = known.get(one.number)
            if (
                before is None
                or before.hidden
                or before.trashed
                or not one.has_files_of(before.listed)
            ):
                to_ask.append(one)
            elif one != before.listed:
                same_files.append(replace(before, listed=one))
        return self._keep(same_files) | self._ask(to_ask)

    def _missing(self, numbers: Iterable[int], *, hidden: bool = False) -> Touched:
        """Ask what became of the known documents that are not among these, also of hidden ones."""
        known = self._index.documents()
        trashed = {n for n, one in known.items() if one.trashed}
        seen = set(numbers) | (trashed & self._api.trashed() if trashed else set())
        missing = [n for n, one in known.items() if n not in seen and (hidden or not one.hidden)]
        touched = Touched()
        for some, answers in self._asked(missing, self._api.presence):
            told = list(zip(some, answers, strict=True))
            gone = {n for n, answer in told if isinstance(answer, DocumentGone)}
            in_trash = gone & self._api.trashed() if gone and self._rules.trash_folder else set()
            unseen = [n for n, answer in told if isinstance(answer, DocumentHidden)]
            touched |= self._keep(
                [
                    *(replace(known[n], trashed=True) for n in sorted(in_trash)),
                    *(replace(known[n], hidden=True) for n in unseen if not known[n].hidden),
                ],
                sorted(gone - in_trash),
            )
        return touched

    def _ask(self, documents: Sequence[ListedDocument]) -> Touched:
        """Ask for the files of documents, and take over what is told."""
        known, troubled = self._index.documents(), self._index.troubles()
        touched = self._look_at_new_names(documents)
        self.asked, self.to_ask = 0, len(documents)
        for some, answers in self._asked(documents, self._api.files):
            kept, gone, odd = list[KnownDocument](), list[int](), dict[int, str]()
            for one, told in zip(some, answers, strict=True):
                if isinstance(told, DocumentGone):
                    gone.append(one.number)
                elif isinstance(told, DocumentOdd):
                    odd[one.number] = told.reason
                elif not isinstance(told, DocumentHidden):
                    found = KnownDocument(one, told)
                    same = found == known.get(one.number) and one.number not in troubled
                    kept += [] if same else [found]
                elif one.number in known:
                    kept.append(replace(known[one.number], hidden=True))
                else:
                    gone.append(one.number)
                self._odd.pop(one.number, None)
                self._odd |= {one.number: one} if one.number in odd else {}
            touched |= self._keep(kept, gone) | self._touched_by(self._index.trouble(odd))
            self.asked += len(some)
        self.asked = self.to_ask = 0
        return touched

    def _look_at_new_names(self, documents: Iterable[ListedDocument]) -> Touched:
        """Read the lists anew when a document has a name that is in none: it may be a new one."""
        needs = self._rules.needs
        if any(self._lists.unknown(one, needs) for one in documents):
            return self._look_at_lists()
        return {}

    def _asked(
        self, questions: Sequence[_T], ask: Callable[[_T], _U]
    ) -> Iterator[tuple[Sequence[_T], list[_U]]]:
        """Ask in portions, some at one time."""
        with ThreadPoolExecutor(ASKED_TOGETHER, "documents") as threads:
            for at in range(0, len(questions), _PORTION):
                if not self._go_on():
                    return
                some = questions[at : at + _PORTION]
                yield some, list(threads.map(ask, some))

    def _keep(self, documents: Sequence[KnownDocument], gone: Sequence[int] = ()) -> Touched:
        taken = self._index.take(documents, gone, self._decide)
        touched = self._touched_by(taken)
        for document in documents:
            for key in keys_of(document.listed.number):
                if key not in taken.renamed and (name := self._index.name_of(key)):
                    touched.setdefault(name, None)
        return touched

    def _touched_by(self, taken: Taken) -> Touched:
        touched = Touched()
        for number in taken.troubled:
            names = map(self._index.name_of, keys_of(number))
            touched |= {nameless_name(number): None} | {name: None for name in names if name}
        for before, after in taken.renamed.values():
            if after is not None:
                touched[after] = before
            elif before is not None:
                touched.setdefault(before, None)
        return touched

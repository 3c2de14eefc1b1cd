"""What can be looked at of a paperless-ngx by its API before its documents are mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, of_error, ok, warning
from paperfleet.documents.lists import NameLists
from paperfleet.errors import NotAStorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.diagnosis import CheckResult
    from paperfleet.documents.api import PaperlessApi
    from paperfleet.documents.rules import Rules

DOCUMENTS, USER, TASKS, LISTS = "documents", "user of the token", "tasks", "names of lists"
_SECONDS = 60.0


class PaperlessApiChecks:
    """The checks of one paperless-ngx as a source; every request only reads."""

    def __init__(self, api: PaperlessApi, rules: Rules) -> None:
        self._api, self._rules = api, rules

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        return [
            Check(DOCUMENTS, self.documents, seconds=_SECONDS),
            Check(USER, self.user, (DOCUMENTS,), _SECONDS),
            Check(TASKS, self.tasks, (DOCUMENTS,), _SECONDS),
            Check(LISTS, self.lists, (DOCUMENTS,), _SECONDS),
        ]

    def documents(self) -> Iterator[CheckResult]:
        """See whether it answers, takes the token, and shows documents to its user."""
        with self._api.client:
            seen = len(self._api.numbers())
        if seen:
            yield ok(f"it answers, and its user may see {seen:,} documents")
        else:
            yield warning(
                "it answers, and shows no document to the user of the token",
                "Give that user the permission to view the documents of others, if there are any",
            )

    def user(self) -> Iterator[CheckResult]:
        """See whether a token of another user would be noticed."""
        with self._api.client:
            known = self._api.user()
        if known:
            yield ok("a token of another user would be noticed")
        else:
            yield warning(
                "a token of another user would not be noticed",
                "Give its user the permission to view the settings of the user interface",
            )

    def tasks(self) -> Iterator[CheckResult]:
        """See whether an archive that is made anew is noticed soon."""
        with self._api.client:
            may = self._api.may_view_tasks()
        if may:
            yield ok("an archive that is made anew is noticed soon (version 3), or within a day")
        else:
            yield warning(
                "an archive that is made anew is noticed within a day only",
                "Give the user of the token the permission to view tasks",
            )

    def lists(self) -> Iterator[CheckResult]:
        """See whether what the template and the filters need may be viewed, and is there."""
        needs = self._rules.needs
        if not needs:
            yield ok("none is needed")
            return
        with self._api.client:
            found = NameLists(**{kind: self._api.name_list(kind) for kind in needs})
        empty = [kind for kind in needs if not getattr(found, kind)]
        try:
            self._rules.check(found)
        except NotAStorageError as error:
            yield of_error(error)
            return
        if empty:
            yield warning(
                f"there is none of {', '.join(empty)}, or the user of the token may not view them",
                "Give that user the permission to view them",
            )
        else:
            yield ok(f"{', '.join(needs)}: they may be viewed")

"""Edits that make work for a fleet: asked for on one host, done by any, seen on all."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pikepdf
from tests.paperless import papers
from tests.paperless.machine_fleet import IDLE_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.paperless.machine_fleet import Fleet
    from tests.paperless.rest import Rest


class Edits:
    """A set of edits; each way of editing begins with a document of its own.

    Each is asked for within a block of ``meanwhile``, which is told its name.
    """

    def __init__(
        self,
        fleet: Fleet,
        one: Rest,
        two: Rest,
        meanwhile: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._fleet, self._one, self._two = fleet, one, two
        self._meanwhile = meanwhile
        self._versioned: list[int] = []

    def run(self) -> None:
        """Make them all, and require their results on both web servers."""
        self._pages("rotate", 3, degrees=90)
        self._pages("delete_pages", 2, pages=[2])
        self._merge(self._split())
        if self._fleet.version >= (3, 0, 0):
            self._version()

    def require_once(self) -> None:
        """Require of a fleet that is idle that each of these edits has made one version."""
        if self._fleet.version < (3, 0, 0):
            return
        query = "SELECT count(*) FROM documents_document WHERE root_document_id = %s"
        made = {number: self._fleet.ask(query, number)[0][0] for number in self._versioned}
        assert set(made.values()) == {1}, made

    def _new(self) -> tuple[int, str]:
        title = f"edited {papers.new_text()}"
        task = self._one.post_document("edited.pdf", papers.pdf(pages=3), title=title)
        return int(self._one.task(task, timeout=IDLE_TIMEOUT)["related_document"]), title

    def _until(self, look: Callable[[], object], what: str) -> None:
        self._one.until(lambda: bool(look()), what, IDLE_TIMEOUT)

    def _pages(self, method: str, left: int, **how: object) -> None:
        number, _ = self._new()
        before = self._two.metadata(number)["original_checksum"]
        with self._meanwhile(method):
            self._one.bulk_edit(method, [number], **how)
        self._until(lambda: self._two.metadata(number)["original_checksum"] != before, method)
        edited = self._two.download(number).content
        assert self._one.download(number).content == edited
        with pikepdf.open(io.BytesIO(edited)) as pdf:
            assert len(pdf.pages) == left
        self._versioned.append(number)

    def _titles(self) -> dict[int, str]:
        """Return what both web servers list; they read one database."""
        listed = [{one["id"]: one["title"] for one in web.documents()} for web in self._webs]
        return {number: title for number, title in listed[0].items() if number in listed[1]}

    @property
    def _webs(self) -> tuple[Rest, Rest]:
        return self._one, self._two

    def _split(self) -> list[int]:
        number, title = self._new()
        with self._meanwhile("split"):
            self._two.bulk_edit("split", [number], pages="1,2-3", delete_originals=True)

        def parts() -> list[int]:
            found = self._titles()
            return [] if number in found else _named(found, f"{title} (split")

        self._until(lambda: len(parts()) >= 2, "a split, and the end of what was split")
        made = sorted(parts())
        assert sorted(self._one.document(part)["page_count"] for part in made) == [1, 2]
        return made

    def _merge(self, parts: list[int]) -> None:
        title = self._one.document(parts[0])["title"]
        asked = {"metadata_document_id": parts[0], "delete_originals": True}
        with self._meanwhile("merge"):
            self._one.bulk_edit("merge", parts, **asked)

        def merged() -> list[int]:
            found = self._titles()
            return [] if set(parts) & found.keys() else _named(found, f"{title} (merged)")

        self._until(merged, "a merge, and the end of what was merged")
        (made,) = merged()
        for web in self._webs:
            assert web.document(made)["page_count"] == 3
            assert web.get(f"documents/{made}/thumb/").content[:4] == b"RIFF"
        assert self._one.download(made).content == self._two.download(made).content

    def _version(self) -> None:
        number, _ = self._new()
        new = papers.pdf()
        files = {"document": ("2.pdf", new)}
        with self._meanwhile("version"):
            task = self._two.post(f"documents/{number}/update_version/", files=files).json()
        self._one.task(task, timeout=IDLE_TIMEOUT)
        assert [web.download(number).content for web in self._webs] == [new, new]
        self._versioned.append(number)


def _named(found: dict[int, str], start: str) -> list[int]:
    return [number for number, title in found.items() if title.startswith(start)]

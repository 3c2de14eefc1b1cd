"""Random histories of a paperless-ngx: whatever happens, source and target become equal."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.conftest import make_place
from tests.integration.documents_kit import DocumentsRig
from tests.servers.paperless_double import Answer, paperless_double
from tests.wide import first_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.paperless_double import PaperlessDouble

pytestmark = pytest.mark.usefixtures("quick")

TITLES = [f"{folder}{name}" for folder in ("", "a/", "a/b/") for name in ("one", "two", "three")]
STAYING = 2
"""The first documents are never in the trash: an empty source waits for a person."""
FAULTS = [
    Answer(503, b"", "text/html"),
    Answer(200, b"<html>log in</html>", "text/html"),
    Answer(404, b"<html>nothing here</html>", "text/html"),
    Answer(200, b'{"count": 0, "next": null, "all": [], "results": [{}]}'),
    Answer(429, b'{"detail": "Request was throttled."}'),
]


class History:
    """What people do, by chance; ``seed`` repeats it."""

    def __init__(self, paperless: PaperlessDouble, seed: int) -> None:
        self._paperless, self._chance = paperless, random.Random(seed)  # noqa: S311  # a test
        self.told: list[str] = []
        for _ in range(STAYING + 3):
            self.add()

    def content(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(1, 200))

    def numbers(self, *, trashed: bool = False) -> list[int]:
        return [n for n, paper in self._paperless.papers.items() if paper.trashed == trashed]

    def step(self) -> None:
        """Let one thing happen."""
        steps: list[Callable[[], object]] = [self.add, self.retitle, self.retitle, self.version]
        steps += [
            self.reprocess,
            self.trash,
            self.restore,
            self.empty,
            self.swap,
            self.stop_a_while,
        ]
        step = self._chance.choice(steps)
        self.told.append(step.__name__)
        step()

    def add(self) -> None:
        archive = self._chance.choice([None, self.content()])
        self._paperless.add(self._chance.choice(TITLES), self.content(), archive=archive)

    def retitle(self) -> None:
        for number in self.some(self.numbers()):
            self._paperless.change(number, title=self._chance.choice(TITLES))

    def version(self) -> None:
        for number in self.some(self.numbers()):
            archive = self._chance.choice([None, self.content()])
            self._paperless.add_version(number, self.content(), archive)

    def reprocess(self) -> None:
        for number in self.some(self.numbers()):
            if self._paperless.papers[number].newest.archive is not None:
                self._paperless.reprocess(number, self.content())

    def trash(self) -> None:
        for number in self.some([n for n in self.numbers() if n > STAYING]):
            self._paperless.trash(number)

    def restore(self) -> None:
        for number in self.some(self.numbers(trashed=True)):
            self._paperless.trash(number, trashed=False)

    def empty(self) -> None:
        with self._paperless.lock:
            for number in self.numbers(trashed=True):
                del self._paperless.papers[number]

    def swap(self) -> None:
        some = self.numbers()
        if len(some) > 1:
            one, two = self._chance.sample(some, 2)
            titles = [self._paperless.papers[number].title for number in (one, two)]
            with self._paperless.lock:
                self._paperless.change(one, title="between")
                self._paperless.change(two, title=titles[0])
                self._paperless.change(one, title=titles[1])

    def stop_a_while(self) -> None:
        time.sleep(self._chance.uniform(0.0, 0.3))

    def some(self, numbers: list[int]) -> list[int]:
        return self._chance.sample(numbers, min(len(numbers), self._chance.randrange(1, 3)))

    def fail(self) -> None:
        """Let some of the requests fail from now on."""
        answer = self._chance.choice(FAULTS)

        def fault(_path: str, _query: dict[str, str]) -> Answer | None:
            return answer if self._chance.random() < 0.3 else None

        self._paperless.fault = fault

    def heal(self) -> None:
        """Let all requests be answered from now on."""
        self._paperless.fault = lambda _path, _query: None


@pytest.mark.parametrize("kind", first_of(["local", "nextcloud", "nine methods"]))
@pytest.mark.parametrize("seed", first_of(range(6), 2))
def test_a_history(request: pytest.FixtureRequest, tmp_path: Path, kind: str, seed: int) -> None:
    with paperless_double() as paperless:
        documents = DocumentsRig(tmp_path, make_place(kind, request, tmp_path), paperless)
        history = History(paperless, seed)
        for _ in range(3):
            with documents.live() as live:
                for number in range(12):
                    history.step()
                    (history.fail if number % 4 == 1 else history.heal)()
                history.heal()
                try:
                    live.until_same()
                except AssertionError as error:
                    raise AssertionError(f"{history.told}\n{error}") from error
            for _ in range(4):  # while it is stopped
                history.step()
        documents.sync()
        assert not documents.quarantined()

"""Programs are killed (SIGKILL) at named points; then they start again, and nothing is lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, papers
from tests.paperless.broken import Broken, Point, broken
from tests.servers.moto_server import moto_server

from paperfleet.storage.bucket.copying import THROUGH_MEMORY
from paperfleet.storage.bucket.settling import BYTES_PER_SECOND, LEAST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest
    from tests.servers.s3_faults import Kind

pytestmark = pytest.mark.paperless

WHEN: tuple[Kind, ...] = ("hang before", "hang after")
CUT_OFF_MOVE = LEAST_SECONDS + THROUGH_MEMORY / BYTES_PER_SECOND + 30.0
"""Seconds after which a move that was cut off is taken up by the next one, and some more.

The claim of a move is made before its file is read, so it has the time of the largest.
"""


@pytest.fixture(scope="module")
def storage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    # The program is to be killed before it gives up.
    with (
        moto_server() as server,
        broken(servers, server, tmp_path_factory.mktemp("kills"), timeout=60) as made,
    ):
        made.paperless.start("web", "worker")
        yield made


@pytest.fixture
def paperless(storage: Broken) -> Iterator[Installation]:
    storage.faults.heal()
    yield storage.paperless
    storage.faults.heal()
    storage.clean_up()


@pytest.mark.parametrize("point", [Point("PUT", "/originals/"), Point("PUT", "/archive/")], ids=str)
@pytest.mark.parametrize("when", WHEN)
def test_the_worker_dies_while_it_consumes(
    storage: Broken, paperless: Installation, rest: Rest, when: Kind, point: Point
) -> None:
    content = papers.pdf()
    before = len(rest.documents())
    storage.fail(when, point, left=1)
    paperless.start("consumer")
    arriving = paperless.consume / f"{papers.new_text()}.pdf"
    arriving.with_suffix(".part").write_bytes(content)
    arriving.with_suffix(".part").rename(arriving)
    storage.kill_when_it_hangs("worker")
    paperless.stop("consumer")
    assert arriving.read_bytes() == content, "it is not lost"
    assert len(rest.documents()) == before
    comparison = storage.compare()
    comparison.require_nothing_lost()
    paperless.start("consumer")  # it looks at what lies there
    rest.until(lambda: len(rest.documents()) > before, "the second try")
    rest.until(lambda: not arriving.exists(), "the removal of the consumed file")
    paperless.stop("consumer")
    (newest,) = rest.documents(ordering="-id")[: len(rest.documents()) - before]
    assert rest.download(newest["id"]).content == content
    after = storage.compare()
    after.require_nothing_lost()
    assert set(after.orphans) <= set(comparison.orphans), "only what the kill has left"


RENAME = [
    Point("PUT", "/.paperfleet-work/"),
    Point("PUT", "/originals/new "),
    Point("DELETE", "/originals/old "),
    Point("DELETE", "/.paperfleet-work/"),
    Point("PUT", "/archive/new "),
]


@pytest.mark.parametrize("point", RENAME, ids=str)
@pytest.mark.parametrize("when", WHEN)
def test_the_worker_dies_while_it_renames(
    storage: Broken, paperless: Installation, rest: Rest, when: Kind, point: Point
) -> None:
    content = papers.pdf()
    mark = papers.new_text()
    paths = [
        rest.post(
            "storage_paths/", json={"name": f"{word} {mark}", "path": f"{word} {mark}"}
        ).json()["id"]
        for word in ("old", "new")
    ]
    number = rest.upload("a.pdf", content, title=mark, storage_path=paths[0])
    archive = rest.download(number, original=False).content
    storage.fail(when, point, left=1)
    rest.bulk_edit("set_storage_path", [number], storage_path=paths[1])
    storage.kill_when_it_hangs("worker")
    assert {content, archive} <= set(storage.contents()), "it is not lost"

    def renamed() -> bool:
        rest.patch(f"documents/{number}/", json={"title": mark})
        time.sleep(3)
        return all(f"/new {mark}" in name for name in agreement.row_of(paperless, number).names)

    rest.until(renamed, "the second try", CUT_OFF_MOVE)
    storage.compare().require_agreement()
    assert rest.download(number).content == content


@pytest.mark.parametrize("when", WHEN)
def test_the_worker_dies_while_it_renames_many(
    storage: Broken, paperless: Installation, rest: Rest, when: Kind
) -> None:
    mark = papers.new_text()
    body = {"name": mark, "path": f"old {mark}/{{{{ title }}}}"}
    path = rest.post("storage_paths/", json=body).json()["id"]
    contents = {f"{n} {mark}": papers.plain() for n in range(5)}
    numbers = [
        rest.upload(f"{n}.txt", content, title=title, storage_path=path)
        for n, (title, content) in enumerate(contents.items())
    ]
    storage.fail(when, Point("PUT", "/originals/new ", spare=2), left=1)
    rest.patch(f"storage_paths/{path}/", json={"path": f"new {mark}/{{{{ title }}}}"})
    storage.kill_when_it_hangs("worker")
    assert set(contents.values()) <= set(storage.contents()), "they are not lost"

    def renamed() -> bool:
        for number, title in zip(numbers, contents, strict=True):
            rest.patch(f"documents/{number}/", json={"title": title})
        time.sleep(3)
        names = [name for number in numbers for name in agreement.row_of(paperless, number).names]
        return all(f"/new {mark}" in name for name in names)

    rest.until(renamed, "the second try", CUT_OFF_MOVE)
    storage.compare().require_agreement()
    assert [rest.download(number).content for number in numbers] == [*contents.values()]


@pytest.mark.parametrize("when", WHEN)
def test_the_worker_dies_while_it_reprocesses(
    storage: Broken, paperless: Installation, rest: Rest, when: Kind
) -> None:
    content = papers.pdf()
    number = rest.upload("again.pdf", content)
    before = agreement.row_of(paperless, number)
    archive = rest.download(number, original=False).content
    time.sleep(1.1)  # PDFs name the second in which they were made
    # The first is refused, as the name is taken; the second is the copy that is kept aside.
    storage.fail(when, Point("PUT", "/archive/", spare=2), left=1)
    rest.bulk_edit("reprocess", [number])
    storage.kill_when_it_hangs("worker")
    assert agreement.row_of(paperless, number) == before
    assert {content, archive} <= set(storage.contents()), "the old archive is there, if aside"
    rest.bulk_edit("reprocess", [number])
    rest.until(lambda: agreement.row_of(paperless, number) != before, "the second try")
    rest.until(lambda: not storage.compare().damaged, "the new archive")
    after = storage.compare()
    after.require_nothing_lost()
    assert all(name.startswith("aside/") for name in after.orphans)
    assert rest.download(number).content == content


@pytest.mark.parametrize("when", WHEN)
def test_the_web_server_dies_while_it_empties_the_trash(
    storage: Broken, paperless: Installation, rest: Rest, when: Kind
) -> None:
    number = rest.upload("gone.pdf", papers.pdf())
    keys = set(agreement.row_of(paperless, number).names)
    rest.delete(f"documents/{number}/")
    storage.fail(when, Point("DELETE", "/originals/"), left=1)
    with pytest.raises(Exception, match=r"disconnect|reset|closed|refused"):
        _empty(storage, rest, number)
    comparison = storage.compare()
    comparison.require_nothing_lost()
    assert set(comparison.orphans) <= keys
    assert number not in {row.number for row in agreement.rows(paperless)}


def _empty(storage: Broken, rest: Rest, number: int) -> None:
    import threading

    killer = threading.Thread(target=storage.kill_when_it_hangs, args=["web"])
    killer.start()
    try:
        rest.post("trash/", json={"documents": [number], "action": "empty"})
    finally:
        killer.join(180)

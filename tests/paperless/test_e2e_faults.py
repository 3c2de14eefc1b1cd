"""The storage fails, is cut off or hangs at each point of consume, rename, delete and reprocess.

Afterwards database and storage agree, no document is lost, and a retry makes no duplicate.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.paperless import agreement, papers
from tests.paperless.broken import Broken, Point, broken
from tests.servers.moto_server import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest
    from tests.servers.s3_faults import Kind

pytestmark = pytest.mark.paperless

KINDS: tuple[Kind, ...] = ("answer", "reset before", "hang before")


@pytest.fixture(scope="module")
def storage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    with (
        moto_server() as server,
        broken(servers, server, tmp_path_factory.mktemp("faults")) as made,
    ):
        made.paperless.start("web", "worker")
        yield made


@pytest.fixture
def paperless(storage: Broken) -> Iterator[Installation]:
    """Heal the storage before and after a test; what one test breaks is not the next one's."""
    storage.faults.heal()
    yield storage.paperless
    storage.faults.heal()
    storage.clean_up()


CONSUME = [Point("PUT", "/originals/"), Point("PUT", "/archive/"), Point("GET", "/archive/")]


@pytest.mark.parametrize("point", CONSUME, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_consume(storage: Broken, rest: Rest, kind: Kind, point: Point) -> None:
    content = papers.pdf()
    before = len(rest.documents())
    storage.fail(kind, point)
    task = rest.task(rest.post_document("faulty.pdf", content), fails=True)
    storage.heal()
    assert task["result"], "the user is told why"
    assert len(rest.documents()) == before
    storage.compare().require_agreement()
    number = rest.upload("faulty.pdf", content)
    assert rest.download(number).content == content
    assert len(rest.documents()) == before + 1
    storage.compare().require_agreement()


@pytest.mark.parametrize("point", CONSUME, ids=str)
@pytest.mark.parametrize("kind", ["answer", "reset before", "reset after", "hang after"])
def test_consume_gets_over_a_single_fault(
    storage: Broken, rest: Rest, kind: Kind, point: Point
) -> None:
    content = papers.pdf()
    storage.fail(kind, point, left=1)
    number = rest.upload("once.pdf", content)
    storage.heal()
    assert rest.download(number).content == content
    storage.compare().require_agreement()


RENAME = [
    Point("PUT", "/.paperfleet-work/"),
    Point("PUT", "/originals/new "),
    Point("DELETE", "/originals/old "),
    Point("PUT", "/archive/new "),
    Point("DELETE", "/archive/old "),
    Point("DELETE", "/.paperfleet-work/"),
    Point("GET", "/originals/"),
]


@pytest.mark.parametrize("point", RENAME, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_rename(
    storage: Broken, paperless: Installation, rest: Rest, kind: Kind, point: Point
) -> None:
    content = papers.pdf()
    path = rest.post(
        "storage_paths/",
        json={"name": papers.new_text(), "path": "{{ title }}"},
    ).json()["id"]
    mark = papers.new_text()
    number = rest.upload("a.pdf", content, title=f"old {mark}", storage_path=path)
    old = set(agreement.row_of(paperless, number).names)
    storage.fail(kind, point)
    # Where not even a look is possible upstream answers with an error, as with a broken disk.
    with contextlib.suppress(httpx.HTTPStatusError):
        rest.patch(f"documents/{number}/", json={"title": f"new {mark}"})
    storage.heal()
    comparison = storage.compare()
    comparison.require_nothing_lost()
    assert all(f"/new {mark}" in name for name in comparison.orphans), "copies of a cut off move"
    assert rest.download(number).content == content
    rest.patch(f"documents/{number}/", json={"title": f"new {mark}"})
    # Where such a copy has the name paperless-ngx takes another one, and the copy goes.
    assert all(f"/new {mark}" in name for name in agreement.row_of(paperless, number).names)
    assert not old & storage.objects.names()
    storage.compare().require_agreement()
    assert rest.download(number).content == content


@pytest.mark.parametrize("area", ["originals", "archive"])
@pytest.mark.parametrize("kind", KINDS)
def test_emptying_the_trash(
    storage: Broken, paperless: Installation, rest: Rest, kind: Kind, area: str
) -> None:
    number = rest.upload("gone.pdf", papers.pdf())
    keys = set(agreement.row_of(paperless, number).names)
    rest.delete(f"documents/{number}/")
    storage.fail(kind, Point("DELETE", f"/{area}/"))
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        rest.post("trash/", json={"documents": [number], "action": "empty"})
    storage.heal()
    comparison = storage.compare()
    comparison.require_nothing_lost()
    left = {name for name in keys if name.startswith(area)}
    assert set(comparison.orphans) == left, "as on a local disk: the row is gone, the file is not"


REPROCESS = [
    Point("GET", "/originals/"),
    Point("PUT", "/aside/"),
    Point("PUT", "/archive/"),
]


@pytest.mark.parametrize("point", REPROCESS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_reprocess(
    storage: Broken, paperless: Installation, rest: Rest, kind: Kind, point: Point
) -> None:
    content = papers.pdf()
    number = rest.upload("again.pdf", content)
    before = agreement.row_of(paperless, number)
    time.sleep(1.1)  # PDFs name the second in which they were made
    storage.fail(kind, point)
    rest.bulk_edit("reprocess", [number])
    rest.until(lambda: not storage.faults.unused(), "the fault")
    paperless.wait_until_tasks_ended()
    storage.heal()
    storage.compare().require_agreement()
    after = agreement.row_of(paperless, number)
    assert after.names.keys() == before.names.keys()
    rest.bulk_edit("reprocess", [number])
    rest.until(lambda: agreement.row_of(paperless, number) != before, "the new archive")
    paperless.wait_until_tasks_ended()
    storage.compare().require_agreement()
    assert rest.download(number).content == content


def test_the_list_of_documents_asks_the_storage_nothing(storage: Broken, rest: Rest) -> None:
    rest.upload("listed.txt", papers.plain())
    rest.wait_until_idle()
    storage.faults.heal()
    assert rest.documents()
    assert storage.faults.requests == []


def test_a_download_asks_the_storage_once_for_each_thing(storage: Broken, rest: Rest) -> None:
    content = papers.pdf()
    number = rest.upload("asked.pdf", content)
    rest.wait_until_idle()
    storage.faults.heal()
    assert rest.download(number).content == content
    assert len(storage.faults.requests) <= 2, storage.faults.requests
    assert len(set(storage.faults.requests)) == len(storage.faults.requests)

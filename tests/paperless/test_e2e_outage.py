"""The storage of a whole paperless-ngx is away for some time, and comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.paperless import papers
from tests.paperless.broken import Broken, Point, broken
from tests.servers.moto_server import moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest
    from tests.servers.s3_faults import Kind

pytestmark = pytest.mark.paperless
EVERYTHING = Point("", "")
AWAY = 6.0
"""Seconds; longer than all tries without patience took."""


@pytest.fixture(scope="module")
def storage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    folder = tmp_path_factory.mktemp("outage")
    with moto_server() as server, broken(servers, server, folder, outage=300) as made:
        made.paperless.start("web", "worker")
        yield made


@pytest.fixture
def paperless(storage: Broken) -> Iterator[Installation]:
    storage.faults.heal()
    yield storage.paperless
    storage.faults.heal()
    storage.clean_up()


@pytest.mark.parametrize("point", [Point("PUT", "/originals/"), Point("", "/archive/")], ids=str)
def test_a_consume_waits_for_the_storage(storage: Broken, rest: Rest, point: Point) -> None:
    content = papers.pdf()
    storage.fail("answer", point)
    task = rest.post_document("patient.pdf", content)
    rest.until(
        lambda: any(point.text in path for _, path in list(storage.faults.requests)),
        "the consume to meet the outage",
    )
    storage.fail("answer", EVERYTHING)
    time.sleep(AWAY)  # an outage lasts: this is no synchronisation
    storage.faults.heal()
    number = int(rest.task(task)["related_document"])
    assert rest.download(number).content == content
    storage.compare().require_agreement()


def test_reads_answer_503_and_come_back(storage: Broken, rest: Rest) -> None:
    content = papers.pdf()
    number = rest.upload("away.pdf", content)
    rest.wait_until_idle()
    reads: dict[str, Callable[[], object]] = {
        "download": lambda: rest.get(f"documents/{number}/download/"),
        "preview": lambda: rest.get(f"documents/{number}/preview/"),
        "metadata": lambda: rest.get(f"documents/{number}/metadata/"),
        "bulk download": lambda: rest.post(
            "documents/bulk_download/", json={"documents": [number], "content": "both"}
        ),
    }
    kinds: tuple[Kind, ...] = ("answer", "reset before")
    for kind in kinds:
        storage.fail(kind, EVERYTHING)
        for name, read in reads.items():
            begun = time.monotonic()
            with pytest.raises(httpx.HTTPStatusError) as caught:
                read()
            assert caught.value.response.status_code == 503, name
            assert int(caught.value.response.headers["Retry-After"]) > 0
            assert time.monotonic() - begun < 30, f"{name} kept somebody waiting"
        storage.heal()
        assert rest.download(number).content == content


def test_the_trash_says_what_it_could_not_delete(storage: Broken, rest: Rest) -> None:
    number = rest.upload("trash.pdf", papers.pdf())
    rest.delete(f"documents/{number}/")
    storage.fail("answer", EVERYTHING)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        rest.post("trash/", json={"documents": [number], "action": "empty"})
    assert caught.value.response.status_code == 503
    storage.heal()
    trash = rest.get("trash/").json()["results"]
    assert number in [document["id"] for document in trash], "it stays in the trash"
    storage.compare().require_agreement()
    rest.post("trash/", json={"documents": [number], "action": "empty"})
    storage.compare().require_agreement()


def test_a_reader_is_cut_off_from_wrong_bytes(storage: Broken, rest: Rest) -> None:
    content = papers.pdf()
    number = rest.upload("rotten.pdf", content)
    rest.wait_until_idle()
    name = next(n for n in storage.objects.names() if storage.objects.read(n) == content)
    storage.objects.write(name, content[:-1] + b"!")
    with pytest.raises(httpx.HTTPError):
        rest.download(number)
    with pytest.raises(httpx.HTTPError):
        rest.post("documents/bulk_download/", json={"documents": [number], "content": "originals"})
    assert f"document {number}" in storage.paperless.manage("check")
    storage.objects.write(name, content)
    assert rest.download(number).content == content

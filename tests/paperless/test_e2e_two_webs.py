"""Two web servers on two hosts, a bucket without conditional writes, one title for two documents.

``test_two_webs`` does the same on the small project.
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, papers
from tests.paperless.conftest import make, s3_server
from tests.paperless.installation import Bucket, Installation, another_host
from tests.servers.s3 import new_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Servers
    from tests.paperless.rest import Rest

pytestmark = pytest.mark.paperless

ROUNDS = 12
TITLES = 3
"""Few, so that a name that one web server has just left is taken by the other."""
REQUEST_TIMEOUT = 120.0


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_server("rclone") as server:
        yield Bucket(server, new_location())


@pytest.fixture(scope="module")
def paperless(
    servers: Servers, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with make(servers, tmp_path_factory.mktemp("first"), bucket) as installation:
        installation.start("web", "worker")
        yield installation


@pytest.fixture(scope="module")
def other(
    paperless: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with another_host(paperless, tmp_path_factory.mktemp("second")) as installation:
        installation.start("web")
        yield installation


@pytest.fixture
def webs(paperless: Installation, other: Installation) -> Iterator[tuple[Rest, Rest]]:
    with contextlib.closing(paperless.rest()) as first, contextlib.closing(other.rest()) as second:
        yield first, second


def at_once(webs: tuple[Rest, Rest], numbers: list[int], title: str) -> None:
    """Give each document the title through a web server of its own, both at the same time."""
    together = Barrier(len(webs), timeout=REQUEST_TIMEOUT)

    def rename(web: Rest, number: int) -> None:
        together.wait()
        web.patch(f"documents/{number}/", json={"title": title})

    with ThreadPoolExecutor(len(webs)) as pool:
        for done in [pool.submit(rename, *pair) for pair in zip(webs, numbers, strict=True)]:
            done.result()


def test_two_documents_of_one_title_keep_their_bytes(
    paperless: Installation, bucket: Bucket, webs: tuple[Rest, Rest]
) -> None:
    web, _ = webs
    path = web.post(
        "storage_paths/", json={"name": papers.new_text(), "path": "{{ title }}"}
    ).json()["id"]
    contents = [papers.pdf(), papers.pdf(pages=5)]
    numbers = [
        web.upload(f"{n}.pdf", content, title=f"first title {n}", storage_path=path)
        for n, content in enumerate(contents)
    ]
    archives = [web.download(number, original=False).content for number in numbers]
    assert len({*contents, *archives}) == 4, "whose bytes they are can be told"
    web.wait_until_idle()
    for turn in range(ROUNDS):
        title = f"one title {turn % TITLES}"
        at_once(webs, numbers[:: -1 if turn % 2 else 1], title)
        for web in webs:
            assert [web.download(number).content for number in numbers] == contents, turn
            read = [web.download(number, original=False).content for number in numbers]
            assert read == archives, turn
        agreement.compare(paperless, agreement.bypass(bucket)).require_agreement()
        names = sorted(
            name for number in numbers for name in agreement.row_of(paperless, number).names
        )
        assert names == [
            f"{area}/{title}{more}.pdf" for area in ("archive", "originals") for more in ("", "_01")
        ]
    report = json.loads(paperless.manage("paperfleet_check", "--json"))
    assert report["agrees"]
    assert report["read"] == len(contents) + len(archives), "each file by its bytes"
    assert paperless.local_documents() == []

"""A fleet on three machines without a common folder: paperless-ngx, PostgreSQL, Redis and S3.

``PAPERFLEET_TEST_SEED`` repeats a case with the chance of another run, which prints it.
``PAPERFLEET_TEST_PAPERS`` says how many papers the large case sends, ``PAPERFLEET_TEST_ROUNDS`` how
often each fault comes, each time on a seed of its own.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from contextlib import ExitStack, closing
from random import Random, SystemRandom
from typing import TYPE_CHECKING

import pytest
from tests.paperless import checkout, papers
from tests.paperless.fleet_edits import Edits
from tests.paperless.fleet_faults import FAULTS, EditsKiller, rolling_restart
from tests.paperless.fleet_proof import COMMANDS, require_well
from tests.paperless.fleet_sending import Sending, Sent
from tests.paperless.machine_fleet import Fleet, machine_fleet
from tests.servers.machines import machines_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from tests.paperless.rest import Rest

    Tell: TypeAlias = Callable[[dict[str, object]], None]

MISSING = checkout.missing() or machines_missing()
pytestmark = [
    pytest.mark.paperless,
    pytest.mark.skipif(bool(MISSING), reason=str(MISSING)),
    pytest.mark.timeout(2400),
]
PAPERS = int(os.environ.get("PAPERFLEET_TEST_PAPERS", "120"))
ROUNDS = int(os.environ.get("PAPERFLEET_TEST_ROUNDS", "1"))
TEXTS = (1,)
"""The kind of papers that cost a worker the least (``fleet_sending.KINDS``)."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with machine_fleet(checkout.checkout(), tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(made: Fleet) -> Iterator[Fleet]:
    """Give the fleet with all of its roles; what one case has broken is not the next one's."""
    made.faults.heal()
    made.complete()
    yield made
    print("\n".join(host.tail() for host in made.hosts.values()))


@pytest.fixture
def webs(fleet: Fleet) -> Iterator[tuple[Rest, Rest]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(host.rest())) for host in fleet.webs)
        yield first, second


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Give what notes for the JUnit file what a case has seen, with the seconds it took."""
    began = time.monotonic()

    def told(seen: dict[str, object]) -> None:
        for name, value in (seen | {"seconds": round(time.monotonic() - began)}).items():
            record_property(name, value)

    return told


@pytest.fixture
def random(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Random:
    given = os.environ.get("PAPERFLEET_TEST_SEED")
    seed = int(given) if given else SystemRandom().randrange(2**32)
    record_property("seed", seed)
    print(f"PAPERFLEET_TEST_SEED={seed} pytest -k '{request.node.name}'")
    return Random(seed)  # noqa: S311  # of a test


def test_hosts_have_no_folder_in_common_and_no_way_out(fleet: Fleet) -> None:
    one, two = fleet.hosts["one"], fleet.hosts["two"]
    (one.machine.folder / "data" / "mark").write_text("here")
    look = f"ls {one.machine.home}/data; ls {fleet.folder}/machines; ls /dev/shm /run /var/tmp; pwd"
    for host in (one, two):
        told = host.machine.run(["sh", "-c", look], host.environ, host.machine.home, 60).stdout
        assert ("mark" in told) is (host is one)
        assert not {"one", "two", "three"} & set(told.split())
    (one.machine.folder / "data" / "mark").unlink()
    common = [fleet.paperless.checkout.src, checkout.ROOT, fleet.folder, "/tmp", "/etc", "/root"]  # noqa: S108  # it must not be one
    for place in map(str, common):
        touch = ["touch", f"{place}/of {two.name}"]
        answer = two.machine.run(touch, two.environ, two.machine.home, 60)
        assert "Read-only file system" in answer.stdout, place
    routes = two.machine.run(["ip", "route"], two.environ, two.machine.home, 60).stdout
    assert routes.split()[0] == "198.18.0.0/24"
    assert len(routes.splitlines()) == 1


def test_papers_by_all_ways_are_there_once_on_all_hosts(
    fleet: Fleet, random: Random, tell: Tell
) -> None:
    with Sending(fleet, random, least=2) as sent:
        pass
    assert not sent.unknown
    tell(require_well(fleet, sent))


def test_each_host_says_that_all_is_well(fleet: Fleet) -> None:
    require_well(fleet, Sent())
    for host in fleet.hosts.values():
        for command in COMMANDS:
            host.manage(command)


def test_edits_through_one_host_are_done_by_any_and_seen_on_all(
    fleet: Fleet, webs: tuple[Rest, Rest], tell: Tell
) -> None:
    edits = Edits(fleet, *webs)
    edits.run()
    tell(require_well(fleet, Sent()))
    edits.require_once()


def test_edits_whose_workers_are_killed_are_made_once(
    fleet: Fleet, webs: tuple[Rest, Rest], random: Random, tell: Tell
) -> None:
    killer = EditsKiller(fleet, random)
    edits = Edits(fleet, *webs, killer.meanwhile)
    edits.run()
    tell({"killed": " ".join(killer.killed)} | require_well(fleet, Sent(), disturbed=True))
    edits.require_once()
    assert killer.killed, "no edit was hit"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=name if not again else f"{name}-{again}")
        for again in range(ROUNDS)
        for name in FAULTS
    ],
)
def test_nothing_is_lost_and_nothing_is_double(
    fleet: Fleet, random: Random, name: str, tell: Tell
) -> None:
    with Sending(fleet, random, least=4, most=8, pace=3.0) as sent:
        seen = FAULTS[name](fleet, random)
        fleet.complete()
    tell(seen | require_well(fleet, sent, disturbed=True))
    assert sent.accepted


def test_a_rolling_restart_loses_no_accepted_request(
    fleet: Fleet, random: Random, tell: Tell
) -> None:
    sending = Sending(fleet, random, least=4, most=20, pace=5.0)
    with sending as sent:
        seen = rolling_restart(fleet, sending, random)
    tell(seen | require_well(fleet, sent))
    assert not sent.unknown, "a web server answers what it has begun"


def test_many_papers_and_edits_at_once(
    fleet: Fleet, webs: tuple[Rest, Rest], random: Random, tell: Tell
) -> None:
    with Sending(fleet, random, least=PAPERS // 3, pace=0.3, kinds=(*TEXTS * 3, 0, 2)) as sent:
        edits = Edits(fleet, *webs)
        edits.run()
    assert not sent.unknown
    tell(require_well(fleet, sent))
    edits.require_once()


def test_share_links_work_on_all_hosts(fleet: Fleet, webs: tuple[Rest, Rest]) -> None:
    content = papers.plain()
    number = webs[0].upload("shared.txt", content)
    body = {"document": number, "file_version": "original"}
    slug = webs[0].post("share_links/", json=body).json()["slug"]
    for host in fleet.webs:
        with closing(host.rest()) as client:
            client.headers.pop("Authorization")
            assert client.get(f"{host.url}/share/{slug}").content == content


def test_a_bundle_of_share_links_works_on_all_hosts(fleet: Fleet, webs: tuple[Rest, Rest]) -> None:
    if fleet.version < (3, 0, 0):
        pytest.skip("there are bundles since v3")
    contents = [papers.plain(), papers.plain()]
    numbers = [webs[0].upload(f"bundle {n}.txt", text) for n, text in enumerate(contents)]
    body = {"document_ids": numbers, "file_version": "original"}
    bundle = webs[1].post("share_link_bundles/", json=body).json()

    def ready() -> bool:
        found = webs[0].get(f"share_link_bundles/{bundle['id']}/").json()
        return bool(found["status"] == "ready")

    webs[0].until(ready, "the bundle")
    for host in fleet.webs:
        with closing(host.rest()) as client:
            client.headers.pop("Authorization")
            answer = client.get(f"{host.url}/share/{bundle['slug']}")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert sorted(map(archive.read, archive.namelist())) == sorted(contents)

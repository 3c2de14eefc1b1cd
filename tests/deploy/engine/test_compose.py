"""The Compose files as they are, under a real engine, with the commands of the how-to."""

from __future__ import annotations

import filecmp
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.engine import EngineError
from tests.deploy.engine.project import COMPOSE, Project, health, install_compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]
FILES = ("small.yaml", "fleet.yaml")
ROLES = ("web", "worker", "scheduler", "consumer")
KILLED = 137


@pytest.fixture(scope="module", params=FILES)
def project(
    request: pytest.FixtureRequest, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Start what a file describes as the how-to does; all of it is gone afterwards."""
    try:
        install_compose(images)
    except UnavailableError as error:
        pytest.skip(str(error))
    print(f"{images.paperless}: {images.material.label}")
    made = Project(images, request.param, tmp_path_factory.mktemp("compose"))
    try:
        made.documented("up --detach --wait\n")
        yield made
    finally:
        made.end()


@pytest.fixture
def fleet(project: Project) -> Project:
    """Return the fleet; what only one has is not tried with the other file."""
    if project.file != "fleet.yaml":
        pytest.skip("only a fleet gives a task to another worker")
    return project


def test_the_files_are_those_of_the_repository(project: Project) -> None:
    names = [path.name for path in COMPOSE.glob("*.yaml")]
    same, differ, missing = filecmp.cmpfiles(COMPOSE, project.folder, names, shallow=False)
    assert (sorted(same), differ, missing) == (sorted(names), [], [])


def test_every_container_is_healthy_and_may_do_no_more_than_it_has_to(project: Project) -> None:
    described = project.described()
    assert set(described) >= {*ROLES, "db", "broker", "migrate"}
    for service, about in described.items():
        (container,) = project.containers(service)
        limits = container["HostConfig"]
        assert health(container) == ("0" if service == "migrate" else "healthy"), service
        assert limits["ReadonlyRootfs"], service
        assert limits["CapDrop"] == ["ALL"], service
        assert limits["SecurityOpt"] == ["no-new-privileges:true"], service
        assert not limits["Privileged"], service
        assert container["Config"]["User"] == about.get("user", ""), service
        assert bool(limits["PortBindings"]) == (service == "web"), service
        if service in ROLES:
            identity = project.images.engine.docker("exec", container["Id"], "id", "-u").strip()
            assert identity == "1000", service


def test_a_document_goes_through_all_of_it(project: Project) -> None:
    before = project.count()
    project.give("whole")
    project.wait_for(before + 1)
    if project.images.material.paperless:
        rest = project.rest
        (found,) = rest.documents(title__icontains="whole")
        assert rest.download(found["id"]).content.startswith(b"\x89PNG")


def test_commands_of_the_how_to_show_how_it_is(project: Project) -> None:
    if project.file == "fleet.yaml":
        assert "worker" in project.documented("paperfleet_tasks")


def test_workers_come_and_go_during_work(fleet: Project) -> None:
    before = fleet.count()
    for number in range(6):
        fleet.give(f"scaled-{number}")
    up = "up --detach --no-recreate --scale worker="
    fleet.compose(f"{up}3")
    fleet.until(
        lambda: [health(one) for one in fleet.containers("worker")] == ["healthy"] * 3,
        "three workers",
    )
    fleet.compose(f"{up}1")
    assert len(fleet.containers("worker")) == 1
    fleet.wait_for(before + 6)


def test_the_work_of_a_killed_worker_is_done_by_another_one(fleet: Project) -> None:
    before = fleet.count()
    fleet.compose("up --detach --no-recreate --wait --scale worker=2")
    began = time.time()
    fleet.give("killed")
    received: list[str] = []

    def works() -> bool:
        engine = fleet.images.engine
        for one in fleet.containers("worker"):
            words = ("docker", "logs", "--since", str(int(began)), one["Id"])
            done = engine.run(*words, timeout=60)
            if "consume_file[" in done.stdout + done.stderr:
                received.append(one["Id"])
        return bool(received)

    fleet.until(works, "a worker that has the task")
    fleet.images.engine.docker("kill", received[0])
    assert fleet.images.engine.inspect(received[0])["State"]["ExitCode"] == KILLED
    assert fleet.count() == before, "it was done before the kill, which proves nothing"
    fleet.wait_for(before + 1)
    fleet.compose("up --detach --no-recreate --wait --scale worker=1")


def test_nothing_is_accepted_while_the_store_is_away_and_all_goes_on_afterwards(
    fleet: Project,
) -> None:
    before = fleet.count()
    fleet.compose("stop bucket")
    with pytest.raises((EngineError, httpx.HTTPError)):
        fleet.give("refused")
    fleet.compose("start bucket")
    fleet.until(lambda: health(fleet.containers("bucket")[0]) == "healthy", "the store")
    fleet.give("afterwards")
    fleet.wait_for(before + 1)


def test_it_ends_in_order_and_in_time(project: Project) -> None:
    began = time.monotonic()
    project.compose("stop")
    took = time.monotonic() - began
    ended = {one["Name"]: one["State"] for one in project.containers()}
    assert all(state["Status"] == "exited" for state in ended.values())
    assert {name for name, state in ended.items() if state["ExitCode"] == KILLED} == set()
    assert took < 120, "no role had to work, and a minute is what each has"
    project.documented("down\n")
    assert project.containers() == []

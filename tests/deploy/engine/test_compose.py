"""The Compose files as they are, under a real engine, with the commands of the how-to."""

from __future__ import annotations

import filecmp
import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.deploy.engine.cloud import ADDRESS, PASSWORD, cloud
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.engine import EngineError
from tests.deploy.engine.project import COMPOSE, Project, blocks, health, install_compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]
FILES = ("small.yaml", "small.yaml --file sqlite.yaml", "fleet.yaml")
ROLES = ("web", "worker", "scheduler", "consumer")
KILLED = 137
CLOUD_OF_THE_PAGE = "nextclouds://cloud.example"


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
    assert set(described) >= {*ROLES, "broker", "migrate"}
    assert ("db" in described) != ("sqlite.yaml" in project.file)
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
    if project.images.material.is_real:
        rest = project.rest
        (found,) = rest.documents(title__icontains="whole")
        assert rest.download(found["id"]).content.startswith(b"\x89PNG")


def test_commands_of_the_how_to_show_how_it_is(project: Project) -> None:
    if project.file == "fleet.yaml":
        assert "worker" in project.documented("paperfleet_tasks")
        before = project.count()
        project.documented("stop web worker scheduler consumer\n")
        assert project.count() == before


def test_the_backup_of_the_how_to_has_every_document(project: Project) -> None:
    (project.folder / "secrets" / "backup-password").write_text(PASSWORD)
    number = project.count()
    project.documented("PAPERFLEET_BACKUP_INIT=true")
    assert project.documented("backup list\n")
    backup = 'run --rm --entrypoint "paperfleet backup" backup'
    found = json.loads(project.compose(f"{backup} list --json"))
    kept = [(one["documents"], one["complete"]) for one in found]
    assert kept == [(number, True)], "of one day the last is kept"
    project.compose(f"{backup} verify --read 100%")


def test_workers_come_and_go_during_work(fleet: Project) -> None:
    before = fleet.count()
    fleet.give(*(f"scaled-{number}" for number in range(3)), seconds=8)
    up = "up --detach --no-recreate --scale worker="
    fleet.compose(f"{up}3")
    fleet.until(
        lambda: [health(one) for one in fleet.containers("worker")] == ["healthy"] * 3,
        "three workers",
    )
    fleet.give(*(f"more-{number}" for number in range(6)), seconds=10)
    fleet.until(lambda: len(fleet.busy()) > 1, "two workers that work")
    began = time.time()
    fleet.compose(f"{up}1")
    assert len(fleet.containers("worker")) == 1
    codes = fleet.exit_codes("worker", began)
    assert len(codes) == 2
    assert KILLED not in codes, "a worker that is taken away ends its task first"
    fleet.wait_for(before + 9)


def test_the_work_of_a_killed_worker_is_done_by_another_one(fleet: Project) -> None:
    before = fleet.count()
    fleet.compose("up --detach --no-recreate --wait --scale worker=2")
    fleet.give("killed", seconds=30)
    (working,) = fleet.until(fleet.busy, "a worker that has the task")
    fleet.images.engine.docker("kill", working)
    assert fleet.images.engine.inspect(working)["State"]["ExitCode"] == KILLED
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


def test_a_document_arrives_where_the_mirror_is_told_to_bring_it(fleet: Project) -> None:
    settings = next(block for block in blocks() if "COMPOSE_PROFILES=mirror" in block)
    assert f"={CLOUD_OF_THE_PAGE}/" in settings
    (fleet.folder / ".env").write_text(settings.replace(CLOUD_OF_THE_PAGE, f"webdav://{ADDRESS}"))
    (fleet.folder / "secrets" / "mirror-password").write_text(PASSWORD)
    with (fleet.folder / "paperless.env").open("a") as told:
        told.write("PAPERFLEET_ALLOW_PLAIN_HTTP=true\n")  # as there is no certificate for it
    before = fleet.count()
    with cloud(fleet.images, "paperless_outside") as files:
        fleet.documented("up --detach --wait\n")
        (mirror,) = fleet.containers("mirror")
        assert health(mirror) == "healthy"
        assert mirror["HostConfig"]["ReadonlyRootfs"]
        assert mirror["Config"]["User"] == "1000:1000"
        said = fleet.compose("logs mirror")
        assert "first sync done" in said
        assert "chmod" not in said, "the secret is as the how-to makes it"
        known = set(files())
        assert len(known) >= before, "it is healthy when all is there"
        fleet.give("mirrored")
        fleet.wait_for(before + 1)
        came = fleet.until(lambda: set(files()) - known, "the document")
        assert all(name.startswith("/Archive/") for name in known | came)
        fleet.compose("rm --stop --force --volumes mirror")


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

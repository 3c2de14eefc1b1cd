"""Each container of each rendered manifest, run under a real engine and asked by its own probes.

What a manifest says is taken as it is: command, variables, user, root, volumes, probes. Given are
addresses and secrets, which a manifest leaves to its user. Containers that are alike in all of this
run once.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.deploy import manifests
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.pods import Container, Pod, pod
from tests.deploy.engine.project import Project, install_compose
from tests.paperless.rest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.engine.images import Images

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(manifests.missing()), reason=manifests.missing()),
]
SERVERS = ("db", "broker", "bucket")
NETWORK = "paperless_inside"
ANY_USER = "1000650000:0"
"""Where a manifest leaves the user to its cluster, as on OpenShift."""
BACKUP = "/var/lib/paperfleet"
"""A folder that stays, in the pod of the backup."""
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
KILLED = 137


class Described(NamedTuple):
    """A pod of a manifest, and where it stands."""

    of: manifests.Pod
    also: list[str]

    @property
    def is_fleet(self) -> bool:
        return self.of.environ.get("PAPERFLEET_FLEET") == "true"

    @property
    def is_job(self) -> bool:
        """Whether it does its work and ends, and so has no probe."""
        return "startupProbe" not in self.container

    @property
    def container(self) -> manifests.Object:
        (found,) = self.of.spec["containers"]
        return dict(found)


def described() -> list[Described]:
    """Return the pods that differ in what concerns a container, migrate before the others."""
    found: dict[str, Described] = {}
    for one in manifests.pods():
        (container,) = one.spec["containers"]
        left_out = {"envFrom", "image", "resources"}
        what = {key: value for key, value in container.items() if key not in left_out}
        about = [what, one.environ, one.spec["volumes"], one.spec["securityContext"]]
        known = found.setdefault(json.dumps(about, sort_keys=True), Described(one, []))
        known.also.append(f"{one.owner} of {one.rendering}")
    return sorted(found.values(), key=lambda it: it.of.role != "migrate")


@pytest.fixture(scope="module")
def servers(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Start database, broker and bucket, as the Compose file has them; a second database too."""
    try:
        install_compose(images)
    except UnavailableError as error:
        pytest.skip(str(error))
    made = Project(images, "fleet.yaml", tmp_path_factory.mktemp("servers"))
    try:
        assert images.paperless
        made.compose("up --detach --wait", *SERVERS)
        (database,) = made.containers("db")
        command = ("createdb", "--username", "paperless", "--host", "127.0.0.1", "shared")
        made.images.engine.docker(
            "exec", "--env", f"PGPASSWORD={_secret(made, 'database')}", database["Id"], *command
        )
        yield made
    finally:
        made.end()


def _secret(project: Project, name: str) -> str:
    return (project.folder / "secrets" / name).read_text().strip()


def given(project: Project, one: Described) -> dict[str, str]:
    """Return what the user of a manifest says: addresses and secrets."""
    found = {
        "PAPERLESS_DBHOST": "db",
        "PAPERLESS_DBPASS": _secret(project, "database"),
        "PAPERLESS_REDIS": "redis://broker:6379",
        "PAPERLESS_SECRET_KEY": _secret(project, "secret-key"),
    }
    if one.is_fleet:
        found["PAPERLESS_DOCUMENT_STORAGE_BACKEND"] = "paperfleet.S3CompatibleBackend"
        found["PAPERLESS_DOCUMENT_STORAGE_OPTIONS"] = _secret(project, "document-storage")
    else:
        found |= {"PAPERLESS_DBNAME": "shared", "PAPERLESS_REDIS_PREFIX": "shared"}
    if one.of.role == "migrate":
        found |= {"PAPERLESS_ADMIN_USER": "admin", "PAPERLESS_ADMIN_PASSWORD": PASSWORD}
    if one.of.role == "backup":
        found |= {"PAPERFLEET_BACKUP_REPOSITORY": f"{BACKUP}/repository"}
        found |= {"PAPERFLEET_BACKUP_PASSWORD": PASSWORD, "PAPERFLEET_BACKUP_INIT": "true"}
    if one.of.role == "mirror":  # no cloud is there
        found |= {"PAPERFLEET_TARGET": "/target", "PAPERFLEET_USERNAME": ""}
    return found


def as_container(project: Project, one: Described, disks: Path) -> Container:
    """Return what the engine is to run for a pod; each volume is a folder below ``disks``.

    A claim is the same one for all pods of a rendering, an emptyDir is new, as on a node.
    """
    volumes = {volume["name"]: volume for volume in one.of.spec["volumes"]}
    folders: dict[str, Path | None] = {}
    for mount in one.container["volumeMounts"]:
        claim = volumes[mount["name"]].get("persistentVolumeClaim")
        if claim is None:
            disk = Path(tempfile.mkdtemp(prefix=f"{mount['name']}-", dir=disks))
        else:
            disk = disks / one.of.rendering / claim["claimName"]
            disk.mkdir(parents=True, exist_ok=True)
        disk.chmod(0o777)
        folders[mount["mountPath"]] = disk
    if one.of.role == "mirror":
        folders["/target"] = None
    user = one.of.spec["securityContext"]
    return Container(
        image=project.images.paperless,
        command=one.container["command"],
        args=one.container.get("args", ()),
        environ=project.settings | one.of.environ | given(project, one),
        user=f"{user['runAsUser']}:{user['runAsGroup']}" if "runAsUser" in user else ANY_USER,
        read_only_root=one.container["securityContext"]["readOnlyRootFilesystem"],
        folders=folders,
        read_only_folders=[
            mount["mountPath"] for mount in one.container["volumeMounts"] if mount.get("readOnly")
        ],
        network=NETWORK,
    )


def require_probes(one: Described, running: Pod) -> None:
    """Require that each probe of the manifest passes, in the order in which a cluster asks."""
    for name in PROBES:
        running.wait_until_passed(one.container[name]["exec"]["command"])


@pytest.mark.parametrize("fleet", [True, False], ids=["fleet", "shared volume"])
def test_each_container_runs_as_its_manifest_says(
    servers: Project, tmp_path: Path, *, fleet: bool
) -> None:
    tmp_path.chmod(0o755)
    chosen = [one for one in described() if one.is_fleet is fleet]
    roles = {"migrate", "web", "worker", "scheduler", "consumer"}
    roles |= {"backup", "flower"} if fleet else set()
    assert {one.of.role for one in chosen} >= roles
    engine = servers.images.engine

    def require_end(one: Described) -> None:
        with pod(engine, as_container(servers, one, tmp_path)) as job:
            assert job.wait_until_ended() == 0, f"{one.also}\n{job.logs()}"

    jobs = [one for one in chosen if one.is_job]
    assert {one.of.role for one in jobs} <= {"migrate", "backup"}
    with ExitStack() as stack:
        for one in [one for one in jobs if one.of.role == "migrate"]:
            require_end(one)
        running = [
            (one, stack.enter_context(pod(engine, as_container(servers, one, tmp_path))))
            for one in chosen
            if not one.is_job
        ]
        for one, container in running:
            require_probes(one, container)
        for one in [one for one in jobs if one.of.role != "migrate"]:
            require_end(one)
        for one, container in running:
            assert container.stop() != KILLED, f"{one.also}\n{container.logs()}"

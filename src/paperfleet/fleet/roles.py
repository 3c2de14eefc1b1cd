"""The roles of a fleet: one table, a row for each.

What the image of paperless-ngx does for each is in ``docker/rootfs/etc/s6-overlay/s6-rc.d``; a test
compares.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from paperfleet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from paperfleet.fleet.site import Site

Need = Literal["database", "redis", "schema", "storage"]
Ready = Literal["http", "port", "told", "running"]

CHECK: Final = ("python3", "manage.py", "check")
"""Looks whether the document storage is the right one and answers, and at much else."""
INDEX: Final = (
    "python3",
    "manage.py",
    "document_index",
    "reindex",
    "--if-needed",
    "--no-progress-bar",
)
MIGRATIONS: Final = (
    ("python3", "manage.py", "check", "--tag", "compatibility", "paperless"),
    ("python3", "manage.py", "migrate", "--skip-checks", "--no-input"),
)
SUPERUSER: Final = ("python3", "manage.py", "manage_superuser")
SUPERUSER_VARIABLE: Final = "PAPERLESS_ADMIN_USER"
FLOWER_PORT: Final = 5555
DEFAULT_PORT: Final = 8000
_PREFETCH_SINCE: Final = (5, 6)


def _nothing(_: Site) -> Sequence[str]:
    return ()


def _no_variables(_: Site) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Role:
    """One process of a fleet.

    ``command`` is the program, in the words of the image's ``service``; ``more`` what is added to
    it. ``needs`` is waited for in this order; ``storage`` by ``CHECK``, which has to find all else
    right. ``before`` are commands that have to succeed first. ``variables`` are set for the
    program. ``ready`` says how its probe knows: an answer by ``http``, an open ``port``, what the
    program has ``told``, or that it is ``running``. ``leads`` means that one works at a time, the
    others stand by. ``app`` means that the app of Paperfleet must be loaded, ``of_paperless`` that
    it is a program of paperless-ngx, ``ends`` that it does not go on.
    """

    name: str
    does: str
    command: tuple[str, ...]
    service: str = ""
    more: Callable[[Site], Sequence[str]] = _nothing
    needs: tuple[Need, ...] = ("database", "redis", "schema", "storage")
    before: tuple[tuple[str, ...], ...] = ()
    variables: Callable[[Site], Mapping[str, str]] = _no_variables
    ready: Ready = "told"
    leads: bool = False
    app: bool = True
    of_paperless: bool = True
    ends: bool = False


def web_address(site: Site) -> tuple[str, int]:
    """Return where the web server listens: Granian's variables, else those of paperless-ngx.

    A Service of Kubernetes that is called paperless puts ``tcp://…`` into ``PAPERLESS_PORT``: that
    is no port, and passed over. Raises ``ConfigurationError`` for anything else that is none.
    """
    environ = site.environ
    variable, text = "GRANIAN_PORT", environ.get("GRANIAN_PORT")
    if not text:
        variable, text = "PAPERLESS_PORT", environ.get("PAPERLESS_PORT", "")
        if "://" in text:
            text = ""
    try:
        port = int(text or DEFAULT_PORT)
    except ValueError:
        raise ConfigurationError(f"{variable} is {text!r}, which is no port") from None
    host = environ.get("GRANIAN_HOST") or environ.get("PAPERLESS_BIND_ADDR") or _everywhere()
    return host, port


def _everywhere() -> str:
    """Return ``::``, as the image has it; ``0.0.0.0`` on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104  # what the image means to do
    return "::"


def _granian(site: Site) -> Mapping[str, str]:
    host, port = web_address(site)
    environ = site.environ
    workers = environ.get("GRANIAN_WORKERS") or environ.get("PAPERLESS_WEBSERVER_WORKERS") or "1"
    found = {"GRANIAN_HOST": host, "GRANIAN_PORT": str(port), "GRANIAN_WORKERS": workers}
    if prefix := environ.get("PAPERLESS_FORCE_SCRIPT_NAME"):
        found["GRANIAN_URL_PATH_PREFIX"] = prefix
    return found


def _worker(site: Site) -> Sequence[str]:
    from paperfleet.fleet.programs import version_of  # noqa: PLC0415  # it asks the other Python

    if version_of(site, "celery") >= _PREFETCH_SINCE:
        prefetch = ["--disable-prefetch"]
    else:  # the least that it can: one beside each that runs, not four
        prefetch = ["--prefetch-multiplier", "1"]
    return ["-n", "worker@%h", *prefetch]


def _beat(site: Site) -> Sequence[str]:
    return ["--schedule", str(site.state_file("scheduler").with_name("beat"))]


def _flower(site: Site) -> Sequence[str]:
    file = site.src / "paperless" / "flowerconfig.py"
    return [f"--conf={file}"] if file.is_file() else []


_CELERY: Final = ("celery", "--app", "paperless")
_ROLES: Final = (
    Role(
        name="web",
        does="answers browsers and the API",
        service="svc-webserver",
        command=(
            *("granian", "--interface", "asginl", "--ws", "--loop", "uvloop"),
            "paperless.asgi:application",
        ),
        before=(INDEX,),
        variables=_granian,
        ready="http",
    ),
    Role(
        name="worker",
        does="works on tasks: OCR, edits, mail",
        service="svc-worker",
        command=(*_CELERY, "worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip"),
        more=_worker,
    ),
    Role(
        name="scheduler",
        does="starts what is to be done at a time; one works, others stand by",
        service="svc-scheduler",
        command=(*_CELERY, "beat", "--loglevel", "INFO"),
        more=_beat,
        leads=True,
    ),
    Role(
        name="consumer",
        does="watches the consume folder; one works, others stand by",
        service="svc-consumer",
        command=("python3", "manage.py", "document_consumer"),
        leads=True,
    ),
    Role(
        name="flower",
        does="shows the tasks in a browser",
        service="svc-flower",
        command=(*_CELERY, "flower"),
        more=_flower,
        needs=("redis",),
        ready="port",
        app=False,
    ),
    Role(
        name="mirror",
        does="mirrors the documents to another storage",
        command=("python3", "-m", "paperfleet", "mirror"),
        needs=(),
        ready="running",
        app=False,
        of_paperless=False,
    ),
    Role(
        name="backup",
        does="backs up database, documents and settings, and ends",
        command=("python3", "-m", "paperfleet", "backup", "run"),
        needs=("database", "schema"),
        ready="running",
        app=False,
        ends=True,
    ),
    Role(
        name="migrate",
        does="makes the tables of this version and the first user, and ends",
        command=(),
        needs=("database",),
        before=MIGRATIONS,
        leads=True,
        ends=True,
    ),
)
ROLES: Final[Mapping[str, Role]] = {role.name: role for role in _ROLES}


def role_of(name: str, environ: Mapping[str, str]) -> Role:
    """Return the row of a role; the mirror has another where the documents are in a storage."""
    role = ROLES[name]
    if name == "mirror" and environ.get("PAPERLESS_DOCUMENT_STORAGE_BACKEND"):
        return Role(
            name=name,
            does=role.does,
            command=("python3", "manage.py", "paperfleet_events", "--mirror"),
            needs=("database", "schema", "storage"),
            ready="running",
        )
    return role

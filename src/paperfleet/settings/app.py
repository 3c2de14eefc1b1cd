"""The settings of the app for paperless-ngx: the fields of ``AppSettings`` are the table."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from paperfleet.secret import Secret
from paperfleet.settings.table import DAY, About, Setting, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """What the app is told; times in seconds, sizes in MB of 1,000,000 bytes."""

    backend: Annotated[
        str,
        About(
            "Where originals and archives are: a dotted name (`paperfleet.S3CompatibleBackend`, "
            "the design's `paperless.storage.S3CompatibleBackend`, a class of your own) or an "
            "address (`s3://bucket/prefix?endpoint_url=…`)",
            unset="nothing is replaced: paperless-ngx works as without the app",
            variable="PAPERLESS_DOCUMENT_STORAGE_BACKEND",
        ),
    ] = ""
    options: Annotated[
        Secret | None,
        About(
            "The options of the backend, as a JSON object",
            unset="`{}`",
            variable="PAPERLESS_DOCUMENT_STORAGE_OPTIONS",
        ),
    ] = None
    options_file: Annotated[
        Path | None,
        About(
            "A file with that object, for a secret",
            variable="PAPERLESS_DOCUMENT_STORAGE_OPTIONS_FILE",
        ),
    ] = None
    media_lock: Annotated[
        str,
        About(
            "The kind of lease in the place of the media lock: `file` (one host), `redis` (the "
            "server of `PAPERLESS_REDIS`), `postgres` (the database of paperless-ngx), or the "
            "address of a lease store. `file` with a storage that other hosts can use is a warning "
            "in the log and in `manage.py check`",
            unset="`redis`; `file` where the storage is a folder on a disk of this host",
        ),
    ] = ""
    media_lock_seconds: Annotated[
        int,
        About(
            "After so many seconds a holder that is silent has lost it; all processes need the "
            "same",
            minimum=5,
            maximum=3600,
        ),
    ] = 60
    outage_seconds: Annotated[
        int,
        About(
            "For so many seconds a task (consume, reprocess, a bulk edit) waits for a storage that "
            "does not answer, before it fails; 0 for two tries as in a request",
            minimum=0,
            maximum=DAY,
        ),
    ] = 600
    mounts: Annotated[
        str,
        About(
            "What else lies in the storage: `thumbnails`, `share_link_bundles`, `logo`, `trash` "
            "(what `PAPERLESS_EMPTY_TRASH_DIR` keeps), `classifier`, separated by commas. In a "
            "fleet all of them, whatever is set"
        ),
    ] = ""
    cache_dir: Annotated[
        Path | None,
        About("Where local copies and drafts lie", unset="`paperfleet` in the scratch directory"),
    ] = None
    cache_mb: Annotated[
        int,
        About(
            "How large all local copies may be together; those asked for within the last hour are "
            "kept in any case",
            minimum=10,
            maximum=1_000_000_000,
        ),
    ] = 2000
    allow_untested_version: Annotated[
        bool,
        About(
            "Start with a major version of paperless-ngx that was never tested; seams and "
            "self-test still have to pass. Inside a tested major version nothing is needed"
        ),
    ] = False
    events: Annotated[
        bool,
        About(
            "Write changes of documents into a table, for "
            "[the mirror](../how-to/mirror-a-bucket.md)"
        ),
    ] = False
    fleet: Annotated[
        bool,
        About(
            "Several hosts work on this database, and share no folder: what one host gives another "
            "to do goes through the storage, and has a row in the database until it is done. All "
            "processes need the same. It needs PostgreSQL and a storage that all hosts reach"
        ),
    ] = False
    task_silence_seconds: Annotated[
        int,
        About(
            "In a fleet: a running task that was silent for so long is given to another worker; "
            "all processes need the same",
            minimum=15,
            maximum=3600,
        ),
    ] = 45
    task_deaths: Annotated[
        int,
        About(
            "In a fleet: a task that so many workers died of ends as a failure; its file is kept",
            minimum=1,
            maximum=100,
        ),
    ] = 3
    search_lag_seconds: Annotated[
        int,
        About(
            "In a fleet: a web server whose search index is further behind is not ready",
            minimum=5,
            maximum=DAY,
        ),
    ] = 60
    metrics_port: Annotated[
        int,
        About(
            "The port at which `paperfleet run web` answers `/metrics` ([what it "
            "tells](metrics.md)), beside its own; 0 for none. The default is the one that "
            "OpenTelemetry gives a Prometheus exporter",
            minimum=0,
            maximum=65535,
        ),
    ] = 9464
    metrics_address: Annotated[
        str,
        About(
            "The address at which it does so; whoever reaches it needs no login",
            unset="the address of the web server",
        ),
    ] = ""


@cache
def table() -> dict[str, Setting]:
    """Return every setting by its key, in the order of the reference page."""
    return rows_of(AppSettings)


BACKEND = table()["backend"].variable
OPTIONS = table()["options"].variable
MEDIA_LOCK = table()["media_lock"].variable
MOUNTS = table()["mounts"].variable
ANY_VERSION = table()["allow_untested_version"].variable
EVENTS = table()["events"].variable
FLEET = table()["fleet"].variable
METRICS_PORT = table()["metrics_port"].variable

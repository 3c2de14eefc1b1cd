"""The settings of a fleet's roles: the fields of ``FleetSettings`` are the table."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from paperfleet.secret import Secret
from paperfleet.settings.table import DAY, PREFIX, About, Setting, rows_of

LAUNCHED = PREFIX + "LAUNCHED"
"""Set by the launcher for the program that it becomes; nobody else sets it."""
STARTING = PREFIX + "STARTING"
"""Set by the launcher for the commands that come before a role's program: the role."""
LOOKING = PREFIX + "LOOKING"
"""Set by `paperfleet doctor` for ``manage.py check``: what it finds out is not written down."""
DATABASE, REDIS = "postgres", "redis"
CHECK_TAG = "paperfleet"
"""What ``manage.py check --tag`` calls the checks of our app."""

NO_ANSWER = "paperfleet.E004"
"""The error of ``manage.py check`` that the launcher waits for: the storage does not answer now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """What ``paperfleet run`` is told; times in seconds."""

    role_lease: Annotated[
        Secret | None,
        About(
            "Where the lease of a role lies of which one process works: `postgres` (the database "
            "of paperless-ngx), `redis` (the server of `PAPERLESS_REDIS`), or the address of a "
            "lease store. All processes of the fleet need the same",
            unset="`postgres`; `redis` where paperless-ngx has no PostgreSQL",
        ),
    ] = None
    role_lease_file: Annotated[
        Path | None,
        About("A file with that address; a newline at its end is no part"),
    ] = None
    role_lease_seconds: Annotated[
        int,
        About(
            "A scheduler or consumer that is silent for so long has lost its role to one that "
            "stands by; all processes need the same",
            minimum=2,
            maximum=60,
        ),
    ] = 5
    server_wait_seconds: Annotated[
        int,
        About(
            "How long a role waits at its start for the database, for Redis, and for the document "
            "storage, each",
            minimum=0,
            maximum=DAY,
        ),
    ] = 60
    schema_wait_seconds: Annotated[
        int,
        About(
            "How long a role waits at its start for the tables of its version, which the role "
            "migrate makes; and how long migrate waits for another one",
            minimum=0,
            maximum=DAY,
        ),
    ] = 600


@cache
def table() -> dict[str, Setting]:
    """Return every setting by its key, in the order of the reference page."""
    return rows_of(FleetSettings)

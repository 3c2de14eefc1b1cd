"""An app that stops a process at a named moment of a task: it waits, or it is killed.

``PAPERFLEET_TEST_POINT`` is ``NAME:kill`` or ``NAME:wait``, or several with commas between. The
process that comes there first makes ``PAPERFLEET_TEST_GATE/NAME`` with its PID, and only it stops.
``NAME.go`` lets it go on.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from django.apps import AppConfig

PATIENCE = 120.0


class Pointed(AppConfig):
    name = "tests.paperless.pointed"
    label = "pointed"

    def ready(self) -> None:
        self._bind_tasks()
        from paperfleet.paperless import points

        told = os.environ.get("PAPERFLEET_TEST_POINT", "")
        stops = dict(one.split(":") for one in told.split(",") if one)
        if unknown := stops.keys() - set(points.POINTS):
            raise ValueError(f"there are no points {sorted(unknown)}")
        if stops:
            gate = Path(os.environ["PAPERFLEET_TEST_GATE"])
            points.listen_with(
                lambda name: stop(gate / name, stops[name]) if name in stops else None
            )

    def _bind_tasks(self) -> None:
        """Let Celery bind the tasks before our app is ready, as in paperless-ngx 3.0.5."""
        import documents.tasks  # noqa: F401
        from celery import current_app

        current_app.finalize(auto=True)


def stop(mark: Path, what: str) -> None:
    """Stop this process if it is the first that comes here."""
    draft = mark.with_name(f"{mark.name}.{os.getpid()}")
    draft.write_text(str(os.getpid()))
    try:
        os.link(draft, mark)  # whole, or not at all
    except FileExistsError:
        return
    finally:
        draft.unlink()
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while not mark.with_name(f"{mark.name}.go").exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody let {mark.name} go on")
        time.sleep(0.05)

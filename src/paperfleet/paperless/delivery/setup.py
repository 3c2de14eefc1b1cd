"""Putting delivery to work in a process of a fleet; the only place that wires its parts."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import celery.app.base
import celery.app.trace
from celery import current_app
from celery.signals import task_revoked
from django.conf import settings
from django.db import connection
from django.db.models.signals import post_save

from paperfleet.errors import ConfigurationError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.delivery import (
    doublesided,
    publishing,
    restoring,
    rows,
    running,
    staging,
    written,
)
from paperfleet.paperless.delivery.states import RUNNING, WAITING, limits_of
from paperfleet.paperless.delivery.tasks import REPEATED, TASK_LIMIT
from paperfleet.paperless.documents import intents, transactions
from paperfleet.settings.app import BACKEND, FLEET

if TYPE_CHECKING:
    from paperfleet.settings.app import AppSettings

_CONSUMER_MODULE = "celery.worker.consumer.consumer"


def install(found: AppSettings) -> None:
    """Let every task of the table have a row; raise ``ConfigurationError`` before anything is done.

    To be called from ``ready()``, before a worker, a scheduler or a view has used Celery.
    """
    _require_fleet()
    running.use(limits_of(found))
    _configure(current_app)
    _replace()
    transactions.guard_commits_with(_Guard())
    intents.keep_with(written.Notes())
    post_save.connect(running.document_saved, sender="documents.Document")
    task_revoked.connect(revoked)


class _Guard:
    def before_commit(self) -> None:
        running.before_commit()

    def ended(self, *, committed: bool | None) -> None:
        running.transaction_ended(committed=committed)


def _require_fleet() -> None:
    if connection.vendor != "postgresql":
        raise ConfigurationError(
            f"{FLEET} is on, and the database is {connection.display_name}",
            hint="A fleet needs PostgreSQL: what fences a worker that was cut off is a row lock"
            " that ends by itself, which the others do not have",
        )
    if documents.configuration is None or not documents.roots:
        raise ConfigurationError(
            f"{FLEET} is on, and the documents lie in paperless-ngx's own folder",
            hint=f"Name a storage that all hosts reach in {BACKEND}",
        )
    if not documents.configuration.is_shared:
        raise ConfigurationError(
            f"{FLEET} is on, and the document storage is a folder on a disk of this host",
            hint=f"Name a storage that all hosts reach in {BACKEND}",
        )


def task_limit() -> int:
    """Return for how many seconds a task may run."""
    return int(getattr(settings, "CELERY_TASK_TIME_LIMIT", None) or TASK_LIMIT)


def _configure(app: Any) -> None:  # noqa: ANN401  # Celery's
    """Acknowledge late what may be repeated; let the broker keep what runs for long enough."""
    annotations = dict(app.conf.task_annotations or {})
    late = {"acks_late": True, "reject_on_worker_lost": True}
    for name in REPEATED:
        annotations[name] = {**annotations.get(name, {}), **late}
        # Celery reads annotations when it binds a task, and some are bound by now.
        if name in app._tasks:  # noqa: SLF001  # app.tasks would bind them all
            for attribute, value in late.items():
                setattr(app._tasks[name], attribute, value)  # noqa: SLF001
    app.conf.task_annotations = annotations
    options = dict(app.conf.broker_transport_options or {})
    options["visibility_timeout"] = max(
        int(options.get("visibility_timeout", 0)), 2 * task_limit() + 60
    )
    app.conf.broker_transport_options = options


_replaced: list[tuple[Any, str, Any]] = []


def _replace() -> None:
    owner = celery.app.base.Celery
    _put(owner, "send_task", publishing.send_task(owner.send_task))
    _put(celery.app.trace, "build_tracer", running.build_tracer(celery.app.trace.build_tracer))
    plugin = importlib.import_module(doublesided.MODULE).CollatePlugin
    _put(plugin, "run", doublesided.run(plugin.run))
    matching = importlib.import_module(restoring.MATCHING)
    _put(matching, restoring.MATCHES, restoring.matches(getattr(matching, restoring.MATCHES)))
    if _CONSUMER_MODULE in sys.modules:
        _put(sys.modules[_CONSUMER_MODULE], "build_tracer", celery.app.trace.build_tracer)


def _put(owner: Any, name: str, replacement: Any) -> None:  # noqa: ANN401  # a module or a class
    _replaced.append((owner, name, getattr(owner, name)))
    setattr(owner, name, replacement)


def uninstall() -> None:
    """Put everything back; for tests."""
    while _replaced:
        owner, name, original = _replaced.pop()
        setattr(owner, name, original)
    transactions.guard_commits_with(None)
    intents.keep_with(None)
    post_save.disconnect(running.document_saved, sender="documents.Document")
    task_revoked.disconnect(revoked)


def revoked(*, request: Any = None, terminated: bool = False, **_signal: object) -> None:  # noqa: ANN401  # a worker's Request
    """Let the row of a task go that nobody wants any more, as its time was over or it was revoked.

    A second message of one that runs may be over too: that one goes on.
    """
    if request is None:
        return
    files = rows.remove(request.id, RUNNING if terminated else WAITING)
    if files is not None:
        staging.drop(files)

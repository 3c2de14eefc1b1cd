"""Every task of paperless-ngx: whether a second run does no harm when the first one died. Pure.

A task that is not here is left to Celery as it is. ``tests/paperless/test_delivery_tasks.py``
compares the table with a checkout.
"""

from __future__ import annotations

from typing import NamedTuple

TASK_LIMIT = 1800
"""Seconds: ``PAPERLESS_WORKER_TIMEOUT`` where the settings have none."""
ALL = ""
V2 = "2."
V3 = "3."


class Task(NamedTuple):
    """A task: ``repeat`` says whether it is run again after its worker died, ``why`` the reason.

    ``versions`` is how the versions that have it begin. ``makes`` is whether it makes one document.
    ``scheduled`` is whether the scheduler starts it by itself: such a task wakes no worker
    (``scaling``). ``shown`` is what paperless-ngx's own list of tasks calls a scheduled one.
    """

    name: str
    repeat: bool
    why: str
    versions: str = ALL
    makes: bool = False
    scheduled: bool = False
    shown: tuple[str, ...] = ()


CONSUME = "documents.tasks.consume_file"

_ROWS = (
    Task(
        CONSUME,
        repeat=True,
        why="the document and the note of it in the row commit together",
        makes=True,
    ),
    Task(
        "documents.tasks.update_document_content_maybe_archive_file",
        repeat=True,
        why="reads the original, replaces archive and text in one transaction",
    ),
    Task(
        "documents.tasks.bulk_update_documents",
        repeat=True,
        why="lets files and index follow the rows; a mail of a workflow may be sent twice, and"
        " without it files keep their old names",
    ),
    Task(
        "documents.tasks.index_optimize",
        repeat=True,
        why="changes how the index is laid out",
        scheduled=True,
        shown=("index_optimize",),
    ),
    Task(
        "documents.tasks.index_document", repeat=True, why="writes what the row says", versions=V3
    ),
    Task(
        "documents.tasks.remove_document_from_index",
        repeat=True,
        why="removes what may be gone",
        versions=V3,
    ),
    Task(
        "documents.tasks.train_classifier",
        repeat=True,
        why="makes the model anew from the rows",
        scheduled=True,
        shown=("train_classifier",),
    ),
    Task(
        "documents.tasks.sanity_check",
        repeat=True,
        why="reads",
        scheduled=True,
        shown=("sanity_check", "check_sanity"),
    ),
    Task(
        "documents.tasks.llmindex_index",
        repeat=True,
        why="compares the index with the rows",
        versions=V3,
        scheduled=True,
        shown=("llm_index",),
    ),
    Task(
        "documents.tasks.update_document_in_llm_index",
        repeat=True,
        why="writes what the row says",
        versions=V3,
    ),
    Task(
        "documents.tasks.remove_document_from_llm_index",
        repeat=True,
        why="removes what may be gone",
        versions=V3,
    ),
    Task(
        "documents.tasks.build_share_link_bundle",
        repeat=True,
        why="begins with removing what it made before",
        versions=V3,
    ),
    Task(
        "documents.tasks.cleanup_expired_share_link_bundles",
        repeat=True,
        why="removes bundles that are over, which can be built again",
        versions=V3,
        scheduled=True,
    ),
    Task(
        "documents.signals.handlers.process_cf_select_update",
        repeat=True,
        why="clears values that no option has any more",
    ),
    Task(
        "documents.bulk_edit.restore_archive_serial_numbers_task",
        repeat=True,
        why="writes the numbers that it was given",
        versions=V3,
    ),
    Task(
        "documents.tasks.empty_trash",
        repeat=False,
        why="deletes documents for good",
        scheduled=True,
        shown=("empty_trash",),
    ),
    Task(
        "documents.bulk_edit.delete",
        repeat=False,
        why="deletes the originals of a merge or split; not proven yet",
    ),
    Task(
        "documents.tasks.check_scheduled_workflows",
        repeat=False,
        why="sends mails and webhooks; the scheduler asks again",
        scheduled=True,
        shown=("check_workflows",),
    ),
    Task(
        "paperless_mail.tasks.process_mail_accounts",
        repeat=False,
        why="would fetch mails again whose tasks wait; the scheduler asks again",
        scheduled=True,
        shown=("mail_fetch",),
    ),
    Task(
        "paperless_mail.mail.apply_mail_action",
        repeat=False,
        why="deletes or moves a mail, which is not found a second time",
    ),
    Task("paperless_mail.mail.error_callback", repeat=False, why="notes a mail, each time it runs"),
    Task(
        "documents.workflows.webhooks.send_webhook",
        repeat=False,
        why="somebody else would be told twice",
    ),
)

TASKS = {task.name: task for task in _ROWS}
"""The tasks that have a row, by name."""

REPEATED = frozenset(task.name for task in _ROWS if task.repeat)
"""The names of those that are run again after their worker died."""

SCHEDULED = frozenset(task.name for task in _ROWS if task.scheduled)
"""The names of those that the scheduler starts by itself."""

SCHEDULED_SHOWN = frozenset(shown for task in _ROWS for shown in task.shown)
"""What paperless-ngx's own list calls these: ``task_type`` of v3, ``task_name`` of v2."""

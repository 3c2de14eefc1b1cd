"""The table of tasks beside the tasks that a checkout of paperless-ngx has."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from paperfleet.paperless.delivery.tasks import (
    CONSUME,
    REPEATED,
    SCHEDULED,
    SCHEDULED_SHOWN,
    TASKS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("documents", "paperless", "paperless_mail", "paperless_ai")


def modules(source: Path) -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((source / package).rglob("*.py")):
            relative = path.relative_to(source)
            if not {"tests", "migrations"} & set(relative.parts):
                name = ".".join(relative.with_suffix("").parts)
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def is_task(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(called, "id", getattr(called, "attr", "")) in {"shared_task", "task"}


def tasks_in(source: Path) -> set[str]:
    return {
        f"{module}.{node.name}"
        for module, tree in modules(source)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any(map(is_task, node.decorator_list))
    }


def test_every_task_is_in_the_table(source: Path) -> None:
    assert tasks_in(source) - TASKS.keys() == set()


def test_every_row_is_a_task_of_its_versions(source: Path) -> None:
    found = tasks_in(source)
    version = (source / "paperless" / "version.py").read_text(encoding="utf-8")
    (numbers,) = [
        node.value
        for node in ast.walk(ast.parse(version))
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Tuple)
    ]
    major = f"{ast.literal_eval(numbers)[0]}."
    assert {
        name for name, task in TASKS.items() if major.startswith(task.versions)
    } - found == set()


def assigned(source: Path, *names: str) -> Iterator[ast.AST]:
    """Yield what is assigned to names of ``handlers``, or the body of functions of ``settings``."""
    for module, tree in modules(source):
        if module.startswith("paperless.settings") or module == "documents.signals.handlers":
            for node in ast.walk(tree):
                targets = [getattr(node, "target", None), *getattr(node, "targets", [])]
                if {getattr(one, "id", "") for one in targets} & {*names} or (
                    isinstance(node, ast.FunctionDef) and node.name in names
                ):
                    yield node


def test_what_the_scheduler_starts_is_marked(source: Path) -> None:
    """And so counts for nothing that a worker has to be started for."""
    (schedule,) = assigned(source, "parse_beat_schedule", "_parse_beat_schedule")
    found = {
        value.value
        for node in ast.walk(schedule)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "task" and isinstance(value, ast.Constant)
    }
    assert len(found) > 5
    assert found == SCHEDULED & tasks_in(source)


def test_the_list_calls_scheduled_tasks_so(source: Path) -> None:
    """v3 has a table of what is listed; v2 names what it lists in ``TaskName``."""
    if tables := [*assigned(source, "TRACKED_TASKS")]:
        (table,) = tables
        listed = {
            key.value: value.attr.lower()
            for node in ast.walk(table)
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(value, ast.Attribute)
        }
        assert len(listed) > 5
        for name, shown in listed.items():
            assert (shown in SCHEDULED_SHOWN) == (name in SCHEDULED), name
            assert name not in SCHEDULED or shown in TASKS[name].shown
        return
    names = {
        value.elts[0].value
        for _, tree in modules(source)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == "TaskName"
        for one in node.body
        if isinstance(one, ast.Assign) and isinstance(value := one.value, ast.Tuple)
        if isinstance(value.elts[0], ast.Constant)
    }
    assert names - SCHEDULED_SHOWN == {"consume_file"}


def test_only_one_kind_of_argument_names_a_file_to_work_on(source: Path) -> None:
    """What is staged is found by ``ConsumableDocument.original_file``; a new carrier shows here."""
    classes = {
        node.name: {
            one.target.id
            for one in node.body
            if isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)
            and "Path" in ast.unparse(one.annotation)
        }
        for module, tree in modules(source)
        if module == "documents.data_models"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: fields for name, fields in classes.items() if fields} == {
        "ConsumableDocument": {"original_file", "original_path"}
    }
    takers = {
        f"{module}.{node.name}"
        for module, tree in modules(source)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any(map(is_task, node.decorator_list))
        for argument in [*node.args.args, *node.args.kwonlyargs]
        if argument.annotation is not None
        and {"Path", "ConsumableDocument"}
        & {getattr(n, "id", "") for n in ast.walk(argument.annotation)}
    }
    assert takers == {CONSUME}


def test_tasks_are_published_through_the_seam_alone(source: Path) -> None:
    """Nothing puts a message into the broker past Celery's ``send_task``."""
    past = {
        f"{module}:{node.lineno}"
        for module, tree in modules(source)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"send_task_message", "producer_pool", "producer_or_acquire"}
    }
    assert past == set()


def test_what_deletes_or_tells_others_is_not_repeated() -> None:
    assert CONSUME in REPEATED
    assert {name for name in TASKS if name not in REPEATED} == {
        "documents.bulk_edit.delete",
        "documents.tasks.check_scheduled_workflows",
        "documents.tasks.empty_trash",
        "documents.workflows.webhooks.send_webhook",
        "paperless_mail.mail.apply_mail_action",
        "paperless_mail.mail.error_callback",
        "paperless_mail.tasks.process_mail_accounts",
    }

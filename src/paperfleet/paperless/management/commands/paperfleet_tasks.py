"""``manage.py paperfleet_tasks``: what waits, runs and has failed in a fleet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.errors import PaperfleetError
from paperfleet.paperless.care import setup
from paperfleet.paperless.delivery import papertasks, publishing, rows, staging, states
from paperfleet.paperless.scaling import number, queries, reading
from paperfleet.printable import readable
from paperfleet.running.printing import tell, tell_json

if TYPE_CHECKING:
    from paperfleet.paperless.models import Work


class Command(BaseCommand):
    """Lists rows of work; changes one that has failed when it is asked to."""

    help = (
        "List the tasks of a fleet that wait, run or have failed. What has failed is kept with its"
        " file until you decide: --retry, --save or --discard. Exit code 1 when any has failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        chosen = parser.add_mutually_exclusive_group()
        chosen.add_argument(
            "--work", action="store_true", help="Print how many tasks wait or run, for scaling."
        )
        chosen.add_argument(
            "--scaling-query",
            choices=queries.KINDS,
            help="Print the query that tells it, for KEDA's postgresql trigger.",
        )
        chosen.add_argument("--retry", metavar="TASK", help="Offer a failed task once more.")
        chosen.add_argument(
            "--save",
            nargs=2,
            metavar=("TASK", "FOLDER"),
            help="Copy the file of a failed task into a folder of this host.",
        )
        chosen.add_argument(
            "--discard", metavar="TASK", help="Remove a failed task and its file, for good."
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        try:
            if options["work"]:
                tell(self.stdout, str(number.work(reading.read(current_app))))
            elif options["scaling_query"]:
                self.stdout.write(
                    queries.query(options["scaling_query"], reading.longest_seconds()), ending=""
                )
            else:
                setup.require_tables()
                self._of_tasks(options)
        except (PaperfleetError, OSError) as error:
            raise CommandError(readable(str(error))) from error

    def _of_tasks(self, options: dict[str, Any]) -> None:
        if options["retry"]:
            self._retry(options["retry"])
        elif options["save"]:
            self._save(*options["save"])
        elif options["discard"]:
            self._discard(options["discard"])
        else:
            self._list(as_json=options["json"])

    def _list(self, *, as_json: bool) -> None:
        found = rows.not_done()
        if as_json:
            tell_json(self.stdout, [_data(row) for row in found])
        for row in found if not as_json else ():
            files = ", ".join(Path(str(file["path"])).name for file in row.files)
            words = [row.task_id, row.state, row.name.rpartition(".")[2], files, row.reason]
            tell(self.stdout, readable("  ".join(filter(None, words))))
        if any(row.state == states.FAILED for row in found):
            raise SystemExit(1)

    def _retry(self, task_id: str) -> None:
        if not rows.retry(task_id):
            raise _no_such(task_id)
        papertasks.wait_again(task_id, after_failure=True)
        publishing.offer(current_app, task_id)
        tell(self.stdout, f"{task_id} waits again")

    def _save(self, task_id: str, folder: str) -> None:
        files = rows.files_of(task_id, states.FAILED)
        if files is None:
            raise _no_such(task_id)
        for file in files:
            target = Path(folder) / Path(file.path).name
            staging.save_as(file, target)
            tell(self.stdout, readable(f"{target}: {file.size} bytes"))

    def _discard(self, task_id: str) -> None:
        files = rows.remove(task_id, states.FAILED)
        if files is None:
            raise _no_such(task_id)
        staging.drop(files)
        tell(self.stdout, f"{task_id} is gone")


def _no_such(task_id: str) -> CommandError:
    return CommandError(readable(f"no failed task is called {task_id}; the list has their names"))


def _data(row: Work) -> dict[str, object]:
    return {
        "task": row.task_id,
        "name": row.name,
        "state": row.state,
        "attempt": row.attempt,
        "deaths": row.deaths,
        "created": row.created.isoformat(),
        "files": [{"path": file["path"], "size": file["size"]} for file in row.files],
        "reason": row.reason,
    }

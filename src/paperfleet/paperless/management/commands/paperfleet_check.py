"""``manage.py paperfleet_check``: database against storage against checksums."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.errors import PaperfleetError
from paperfleet.paperless import starts
from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import TRASH
from paperfleet.paperless.care import beside, repairing, setup
from paperfleet.paperless.care.atrest import documents_at_rest
from paperfleet.paperless.care.checking import check, left_behind, settle_incidents
from paperfleet.paperless.care.report import BROKEN
from paperfleet.printable import readable
from paperfleet.running.bar import Bar
from paperfleet.running.printing import tell, tell_json
from paperfleet.running.words import files_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.paperless.care.report import Report
    from paperfleet.paperless.homes import Home

_LEAVING = (
    "Before the app or its settings go, bring them home: docs/how-to/paperless-storage.md, Back"
)


class Command(BaseCommand):
    """Compares; changes nothing unless it is asked to."""

    help = (
        "Compare the database with the stored documents and their checksums. Exit code 0 when all"
        " agree, 1 otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Mend what can be mended without losing anything.",
        )
        parser.add_argument(
            "--delete-orphans",
            action="store_true",
            help="With --repair: delete what no document has, for good.",
        )
        parser.add_argument(
            "--quick", action="store_true", help="Compare names only, read no content."
        )
        parser.add_argument(
            "--fast",
            action="store_true",
            help="Where the store tells a SHA-256 that it vouches for, compare that and read no"
            " bytes.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--take-ownership",
            action="store_true",
            help="Mark the storage as belonging to this database.",
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        if options["delete_orphans"] and not options["repair"]:
            raise CommandError("--delete-orphans goes with --repair")
        if options["delete_orphans"] and (options["quick"] or options["fast"]):
            raise CommandError(
                "--delete-orphans needs to see all contents; leave --quick and --fast out"
            )
        try:
            setup.require_tables()
            with setup.current() as home:
                report = self._run(home, options)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error
        self._show(report, as_json=options["json"])
        if not report.agrees:
            raise SystemExit(1)

    def _run(self, home: Home, options: dict[str, Any]) -> Report:
        if options["take_ownership"]:
            setup.take_ownership(home)
        configuration = documents.configuration
        looked = starts.of_host(configuration)
        wrong = [*starts.faults(configuration), *looked.faults]
        faults = [*setup.faults(home), *map(str, wrong)]
        if faults and options["repair"]:
            raise CommandError(readable(f"nothing is repaired: {faults[0]}"))
        with ExitStack() as blocks:
            report = check(
                home,
                setup.areas_in_storage(),
                quick=options["quick"],
                fast=options["fast"],
                begin=_bar(blocks),
            )
        report.faults = faults
        report.notes += starts.notes(configuration, looked)
        report.storage = home.label
        report.notes += _search_indexes()
        beside.look_at_written(report, in_fleet=_in_fleet())
        report.findings += left_behind(home, documents.roots)
        if options["repair"]:
            self._repair(home, report, delete_orphans=options["delete_orphans"])
        _look_beside(home, report, by_bytes=not options["quick"])
        settle_incidents(report, home)
        return report

    def _repair(self, home: Home, report: Report, *, delete_orphans: bool) -> None:
        if delete_orphans:
            doomed = repairing.deletable(report)
            size = size_text(sum(finding.size for finding in doomed))
            tell(
                self.stderr,
                f"--delete-orphans: {files_text(len(doomed))}, {size}, that no document has,"
                " are to go, unless a repair needs them or a document stays broken",
            )
        repairing.repair(home, report, documents_at_rest, delete_orphans=delete_orphans)
        if delete_orphans and report.of(*BROKEN):
            tell(
                self.stderr,
                "No orphan was deleted: documents are missing or damaged, and orphans may be what"
                " is left of them",
            )
        if swept := repairing.sweep(home):
            tell(self.stderr, f"{files_text(swept)} of saves that were cut off removed")

    def _show(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            tell_json(self.stdout, report.as_data())
            return
        if table := report.table():
            tell(self.stdout, *table.split("\n"))
        for repair in report.repairs:
            name = readable(repair.finding.place)
            outcome = f"failed: {repair.what}: {repair.failed}" if repair.failed else repair.what
            tell(self.stdout, f"{name}: {readable(outcome)}")
        for fault in report.faults:
            tell(self.stdout, f"fault: {fault}")
        for text in report.refused:
            tell(self.stdout, f"refused: {readable(text)}")
        for text in report.notes:
            tell(self.stdout, f"note: {readable(text)}")
        verdict = "all agree" if report.agrees else "they do not agree"
        total = f"{files_text(report.files)}, {size_text(report.size)}, {report.looked}: {verdict}"
        tell(self.stdout, total)
        if documents.roots:
            tell(self.stdout, f"the documents are in {report.storage}. {_LEAVING}")


def _look_beside(home: Home, report: Report, *, by_bytes: bool) -> None:
    if TRASH in documents.roots.values():
        beside.tell_of_trash(home, report)
    beside.look_at_staging(home, report, in_fleet=_in_fleet(), by_bytes=by_bytes)


def _in_fleet() -> bool:
    found = documents.configuration
    return found is not None and found.settings.fleet


def _search_indexes() -> list[str]:
    """Tell how far the search index of each host is, in a fleet."""
    if not _in_fleet():
        return []
    from paperfleet.paperless.search import stream  # noqa: PLC0415  # in a fleet alone

    return [stream.told(one) for one in stream.replicas()]


def _bar(blocks: ExitStack) -> Callable[[int, int], Callable[[int], None]]:
    def begin(files: int, size: int) -> Callable[[int], None]:
        return blocks.enter_context(Bar("check", files, size)).advance

    return begin

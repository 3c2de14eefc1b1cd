"""(m) A backup of many documents, and its restore, beside paperless-ngx's own and plain restic."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from tests.paperless.backup_kit import MISSING

from bench.backup.installation import SIZES, MeasuredInstallation, plain_restic
from bench.backup.watching import CalledRestic, watched_lock
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.processes import Ended
    from bench.setting import Setting

SECONDS, CPU, SCAN = "seconds", "processor time", "of it restic backup"
RESTIC, LOCK = "other calls of restic", "media lock held"
FIRST, UNCHANGED = "backup run, first", "backup run, nothing changed"
CHANGED, RESTORE = "backup run, one document changed", "backup restore"
EXPORT, EXPORT_ROWS = "document_exporter", "document_exporter --data-only"
PLAIN, PLAIN_AGAIN = "restic backup of media, first", "restic backup of media, nothing changed"
BY_HAND = "restic restore, lay_out.py, document_importer"
EXPORTED = "restic restore of an export, document_importer"
FEW = 10
"""Documents of an installation that shows what a run takes that has next to nothing to do."""
_LOCK_SECONDS, _CHANGED_SECONDS, _SLOWER = 2.0, 10.0, 1.1


def measure(setting: Setting) -> Result:
    """Measure one installation with few documents, and one with many."""
    count = setting.scale.documents
    result = Result("backup", "A backup and its restore", _about(count, setting.scale.rounds))
    if MISSING:
        result.about = f"Not measured in this run: {MISSING}."
        setting.say(f"  without it: {MISSING}")
        return result
    few = _Case(result, setting, FEW)
    few.fill()
    few.back_up(setting.scale.rounds)
    many = _Case(result, setting, count)
    many.fill()
    many.back_up(setting.scale.rounds)
    many.peers(setting.scale.rounds)
    many.restore()
    _judge(result, few.server, many.server, count)
    return result


def _about(count: int, rounds: int) -> str:
    sizes = {key: f"{size / 1000:g} KB" for key, size in SIZES.items()}
    return (
        f"The small project of the tests, {count:,} documents: an original of "
        f"{sizes['originals']} and a thumbnail of {sizes['thumbnails']} each, for every second one "
        f"an archive version of {sizes['archive']}; SQLite in WAL mode, as paperless-ngx 3 has "
        "it, own folders, a repository on the same disk. "
        "Each row is one process from its start to its end; *restic backup* in it is restic's call "
        "that scans the tree. "
        f"Nothing changed, and one changed document: {rounds} rounds. A restore is into an empty "
        "installation. The media lock is looked at from outside every 5 ms."
    )


@dataclass
class _Case:
    result: Result
    setting: Setting
    documents: int

    def __post_init__(self) -> None:
        folder = self.setting.path("backup")
        folder.mkdir()
        self.folder: Path = folder
        self.server = f"{self.documents:,} documents"
        self.restic = CalledRestic(folder / "restic")
        self.old = self._installation("old")

    def _installation(self, name: str) -> MeasuredInstallation:
        variables = {"PAPERFLEET_BACKUP_RESTIC": str(self.restic.program)}
        return MeasuredInstallation(self.folder / name, variables)

    def fill(self) -> None:
        """Make the documents."""
        self.old.seed(self.documents)

    def back_up(self, rounds: int) -> None:
        """Take a first backup, then some of what has not changed, or hardly."""
        self._ours(FIRST, self.old, "run", "--init")
        for _ in range(rounds):
            self._ours(UNCHANGED, self.old, "run")
        for _ in range(rounds):
            self.old.change()
            self._ours(CHANGED, self.old, "run")

    def peers(self, rounds: int) -> None:
        """Export, and let restic take the folder of documents."""
        (self.folder / "rows").mkdir()
        words = ("manage.py", "document_exporter", str(self.folder / "rows"), "--no-progress-bar")
        self._timed(EXPORT_ROWS, lambda: self.old.measured(*words, "--data-only"))
        self._export()
        repository = self.folder / "of media"
        plain_restic(repository, ["init"], self.folder)
        for turn in range(rounds + 1):
            self._timed(
                PLAIN_AGAIN if turn else PLAIN,
                lambda: plain_restic(repository, ["backup", "--quiet", "."], self.old.media),
            )

    def _export(self) -> None:
        target = self.folder / "export"
        target.mkdir()
        words = ("manage.py", "document_exporter", str(target), "--no-progress-bar")
        self._timed(EXPORT, lambda: self.old.measured(*words))
        repository = self.folder / "of export"
        plain_restic(repository, ["init"], self.folder)
        plain_restic(repository, ["backup", "--quiet", "export"], self.folder)

    def restore(self) -> None:
        """Restore into an empty installation, in three ways."""
        ours = self._empty("restored")
        self._ours(RESTORE, ours, "restore")
        self._restore_export()
        self._restore_by_hand()

    def _restore_export(self) -> None:
        new, target = self._empty("imported"), self.folder / "out"
        repository = self.folder / "of export"
        words = ["restore", "latest", "--target", str(target)]
        brought = plain_restic(repository, words, self.folder)
        self._add(EXPORTED, brought, new.measured(*_import(target / "export")))

    def _restore_by_hand(self) -> None:
        new, target = self._empty("by hand"), self.folder / "laid out"
        words = ["restore", "latest", "--target", str(target)]
        brought = plain_restic(self.old.repository, words, self.folder)
        ready = self.folder / "ready"
        laid = new.measured(str(target / "data" / "lay_out.py"), str(ready))
        self._add(BY_HAND, brought, laid, new.measured(*_import(ready)))

    def _empty(self, name: str) -> MeasuredInstallation:
        made = self._installation(name)
        made.seed(0)
        (made.folder / "data_dir" / "index").mkdir(exist_ok=True)
        return made

    def _ours(self, client: str, installation: MeasuredInstallation, *words: str) -> None:
        with watched_lock(installation.folder / "media_root" / "media.lock") as lock:
            ended = installation.measured_backup(*words)
        self._add(client, ended)
        calls = self.restic.taken()
        if scan := calls.pop("backup", 0.0):
            self.result.add(self.server, client, SCAN, "s", scan)
        others = ", ".join(f"{verb} {seconds:.1f}" for verb, seconds in calls.items())
        self.result.add(self.server, client, RESTIC, "s", sum(calls.values()), others)
        self.result.add(self.server, client, LOCK, "s", lock.seconds)

    def _timed(self, client: str, command: Callable[[], Ended]) -> None:
        with watched_lock(self.old.folder / "media_root" / "media.lock") as lock:
            ended = command()
        self._add(client, ended)
        if lock.seconds:
            self.result.add(self.server, client, LOCK, "s", lock.seconds)

    def _add(self, client: str, *ended: Ended) -> None:
        self.setting.say(f"  {self.server}: {client}")
        self.result.add(self.server, client, SECONDS, "s", sum(one.seconds for one in ended))
        self.result.add(self.server, client, CPU, "s", sum(one.cpu_seconds for one in ended))


def _import(folder: Path) -> list[str]:
    return ["manage.py", "document_importer", str(folder), "--no-progress-bar"]


def _judge(result: Result, few: str, many: str, count: int) -> None:
    found = (result.find(many, client, LOCK) for client in (FIRST, UNCHANGED, CHANGED))
    held = max(sample for row in found if row for sample in row.samples)
    verdicts = result.verdicts
    verdicts.append(
        Verdict(
            f"media lock held for {_LOCK_SECONDS:g} s at most",
            many,
            f"{held:.2f} s in the longest of all runs",
            held <= _LOCK_SECONDS,
        )
    )
    beside = {one: _beside(result, one, UNCHANGED) for one in (few, many)}
    measured = f"{beside[many]:.1f} s; a run of {FEW} documents: {beside[few]:.1f} s"
    verdicts.append(
        Verdict(
            "nothing changed: 1 s per 10,000 documents beside restic's own scan",
            many,
            measured,
            beside[many] <= count / 10_000,
        )
    )
    whole = result.median(many, CHANGED, SECONDS)
    verdicts.append(
        Verdict(
            f"one document changed: {_CHANGED_SECONDS:g} s at most",
            many,
            f"{whole:.1f} s",
            whole <= _CHANGED_SECONDS,
        )
    )
    ours, theirs = (result.median(many, one, SECONDS) for one in (RESTORE, EXPORTED))
    verdicts.append(
        Verdict(
            "restore: no slower than restic and the importer by more than 10 %",
            many,
            f"{ours:.1f} s beside {theirs:.1f} s",
            ours <= theirs * _SLOWER,
        )
    )


def _beside(result: Result, server: str, client: str) -> float:
    """Return the seconds of a run without those in which restic scans."""
    rows = [result.find(server, client, metric) for metric in (SECONDS, SCAN)]
    whole, scan = (row.samples if row else [] for row in rows)
    return median(one - other for one, other in zip(whole, scan, strict=True))

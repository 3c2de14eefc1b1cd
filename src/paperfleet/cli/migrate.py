"""``paperfleet migrate``: bring all of one storage to another, proven, and only then let go."""

from __future__ import annotations

import os
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import threads_option
from paperfleet.cli.receipts import write_receipt
from paperfleet.errors import ConfigurationError, StorageError
from paperfleet.printable import readable_json
from paperfleet.private import open_text
from paperfleet.running.exitcodes import FAILED, FINE, UNFINISHED, help_text
from paperfleet.running.printing import say
from paperfleet.running.stopping import Stopper, signals_to
from paperfleet.running.words import files_text, size_text
from paperfleet.settings.options import SOURCE_OPTIONS, TARGET_OPTIONS
from paperfleet.settings.places import state_folder
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.migrate import FileEvent, Migration, MigrationPlanned, MigrationResult

EXAMPLES = """\b
Examples:
  paperfleet migrate --dry-run /srv/documents s3://my-docs/originals
  paperfleet migrate /srv/documents s3://my-docs/originals --receipt documents.receipt
  paperfleet migrate --delete-source s3://old/originals file:///srv/documents
  paperfleet verify documents.receipt s3://my-docs/originals

\b
Options of a storage that are secret stand in PAPERFLEET_SOURCE_OPTIONS and
PAPERFLEET_TARGET_OPTIONS, as JSON, or in files named by …_OPTIONS_FILE:
  export PAPERFLEET_TARGET_OPTIONS='{"access_key": "…", "secret_key": "…"}'

"""


@click.command("migrate", epilog=EXAMPLES + help_text("migrate"))
@click.argument("source")
@click.argument("target")
@click.option("--dry-run", is_flag=True, help="Print what there is to do and do nothing.")
@click.option(
    "--delete-source", is_flag=True, help="Delete at the source, once every file is verified."
)
@click.option("--bwlimit", metavar="RATE", help="Bytes a second, such as 500K or 10M.")
@threads_option
@click.option("--receipt", type=click.Path(path_type=Path), help="Write the receipt here.")
@click.option("--report", type=click.Path(path_type=Path), help="Write a JSON report here.")
def command(
    source: str,
    target: str,
    *,
    dry_run: bool,
    delete_source: bool,
    bwlimit: str | None,
    threads: int,
    receipt: Path | None,
    report: Path | None,
) -> int:
    """Bring every file of SOURCE to TARGET and prove that it arrived.

    What is at TARGET already counts only when its bytes are equal. Cut off at any point, the next
    run goes on. What cannot be read as a file at SOURCE (links, names that are no text) is told.
    Nothing at SOURCE is changed without --delete-source, and nothing is deleted while anything
    failed or was left out.
    """
    from paperfleet.running.migratebar import MigrationBar  # noqa: PLC0415
    from paperfleet.running.ownfiles import without_own  # noqa: PLC0415
    from paperfleet.settings.storages import check_apart, for_looking, storage_of  # noqa: PLC0415
    from paperfleet.storage.full import full  # noqa: PLC0415
    from paperfleet.transfer.bandwidth import Bandwidth  # noqa: PLC0415  # slow to import
    from paperfleet.transfer.migrate import Migration, MigrationPlanned  # noqa: PLC0415
    from paperfleet.transfer.progress import Progress  # noqa: PLC0415

    rate = parse_rate(bwlimit) if bwlimit else None
    old = storage_of(source, SOURCE_OPTIONS, os.environ, is_there=True)
    new = storage_of(target, TARGET_OPTIONS, os.environ)
    check_apart(old, new)
    old = full(without_own(old, os.environ))
    new = full(for_looking(new) if dry_run else new)
    bar = MigrationBar("migrate")

    def listen(event: FileEvent | MigrationPlanned) -> None:
        bar(event)
        if isinstance(event, MigrationPlanned):
            tell_plan(event)

    stopper = Stopper()
    progress = Progress(progress_path(old, new))
    with signals_to(stopper), old, new, progress, bar:
        migration = Migration(old, new, progress, Bandwidth(rate), listen, threads=threads)
        stopper.on_signal(migration.stop)
        if not dry_run:
            prove_apart(old, new, delete=delete_source)
        files, there = migration.plan()
        if dry_run:
            return UNFINISHED if stopper.stopping else tell_left_out(migration)
        account = migration.copy(files, there)
        if receipt and account.proven:
            write_receipt(receipt, account, old.label, new.label)
        if delete_source and account.complete:
            migration.let_go(account)
    return finish(account, report, delete=delete_source)


def tell_plan(plan: MigrationPlanned) -> None:
    """Print how much there is to do."""
    say(
        f"{files_text(plan.files)}, {size_text(plan.size)} at the source; "
        f"{plan.there:,} of these names ({size_text(plan.there_size)}) at the target"
    )
    if not plan.files:
        say("The source has no files: is its address the right one?", err=True)


def tell_left_out(migration: Migration) -> int:
    """Print what a dry run found that cannot be brought over; return the exit code."""
    for obstacle in migration.obstacles:
        say(f"left out: {readable(obstacle.name)}: {obstacle.reason}", err=True)
    return FAILED if migration.obstacles else FINE


def prove_apart(source: FullStorage, target: FullStorage, *, delete: bool) -> None:
    """Raise ``ConfigurationError`` when both are one place, or nobody knows and it matters."""
    from paperfleet.storage.apartness import require_apart  # noqa: PLC0415

    try:
        require_apart(source, target)
    except StorageError as error:
        if delete:
            raise ConfigurationError(
                f"--delete-source is refused: whether source and target are two places could not be"
                f" found out ({error})",
                hint="Nothing was copied or deleted. Leave it out, or let the target take files",
            ) from error


def progress_path(source: FullStorage, target: FullStorage) -> Path:
    """Return where the progress of this pair is kept."""
    pair = f"{source.label}\n{target.label}"
    return state_folder(os.environ) / f"migration-{sha256(pair.encode()).hexdigest()[:12]}.jsonl"


def parse_rate(text: str) -> float:
    """Return bytes a second of '500K', '10M', '1.5G' or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", text, re.IGNORECASE)
    rate = float(match[1]) * 1000 ** " KMG".index(match[2].upper() or " ") if match else 0.0
    if not rate:
        raise ConfigurationError(f"--bwlimit {text!r} is no rate", hint="Such as 500K or 10M")
    return rate


def finish(account: MigrationResult, report: Path | None, *, delete: bool) -> int:
    """Print how it ended, write the report, return the exit code."""
    from paperfleet.transfer.receipt import BY_HASH, BY_READING  # noqa: PLC0415

    counts = {step.value: count for step, count in account.counts.items() if count}
    size = sum(entry.size for entry in account.entries)
    total = f"{files_text(len(account.entries))}, {size_text(size)} proven at the target"
    words = ", ".join(f"{count:,} {step}" for step, count in counts.items())
    say(f"{total}: {words}" if words else total)
    how = Counter(entry.proven for entry in account.entries)
    say(f"proven: {how[BY_HASH]:,} by the store's own checksum, {how[BY_READING]:,} read back")
    if account.earlier:
        say(f"{files_text(len(account.earlier))} at the target from earlier runs")
    if account.copied_inside:
        say(f"{files_text(account.copied_inside)} copied by the store itself")
    for name, reason in sorted(account.failures.items()):
        say(f"failed: {readable(name)}: {reason}", err=True)
    for name, reason in sorted(account.obstacles.items()):
        say(f"left out: {readable(name)}: {reason}", err=True)
    if account.stopped:
        say(f"stopped: {account.stopped}", err=True)
    if not account.complete:
        say(_not_complete(account, delete=delete), err=True)
    if report:
        document = {
            "complete": account.complete,
            "counts": counts,
            "files": len(account.entries),
            "bytes": size,
            "copied_bytes": account.copied_bytes,
            "copied_inside": account.copied_inside,
            "proven": {key: count for key, count in sorted(how.items()) if key},
            "failures": {readable(name): reason for name, reason in account.failures.items()},
            "left_out": {readable(name): reason for name, reason in account.obstacles.items()},
            "stopped": account.stopped,
        }
        with open_text(report, "w") as file:
            file.write(readable_json(document, indent=2) + "\n")
    if account.stopped:
        return UNFINISHED
    return FINE if account.complete else FAILED


def _not_complete(account: MigrationResult, *, delete: bool) -> str:
    kept = " Nothing was deleted at the source." if delete and not _deleted(account) else ""
    if account.proven:
        return f"Not complete: rename, remove or bring over yourself what was left out.{kept}"
    return f"Not complete. Run the same command again to go on.{kept}"


def _deleted(account: MigrationResult) -> bool:
    from paperfleet.transfer.migrate import MigrationStep  # noqa: PLC0415

    return account.counts[MigrationStep.DELETED] > 0

"""``paperfleet backup``: backups that restic keeps, and that are known to restore."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paperfleet.cli import backupdrill
from paperfleet.printable import readable
from paperfleet.running.exitcodes import FAILED, FINE, help_text
from paperfleet.running.printing import say, say_json
from paperfleet.running.words import files_text, size_text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.place import BackupPlace
    from paperfleet.backup.repository import Repository
    from paperfleet.backup.snapshots import BackupRow
    from paperfleet.backup.taking import TakenBackup
    from paperfleet.backup.tree import ProvenTree
    from paperfleet.settings.backup import BackupSettings

_SHOWN = 20
EXAMPLES = """\b
Examples:
  export PAPERFLEET_BACKUP_REPOSITORY=/mnt/backup/paperless
  export PAPERFLEET_BACKUP_PASSWORD_FILE=/etc/paperfleet/backup-password
  paperfleet backup run --init      # the first time
  paperfleet backup list
  paperfleet backup verify --read 100%
  paperfleet backup drill
  paperfleet backup restore

"""
_RUN = """\b
Examples:
  paperfleet backup run --init
  paperfleet backup run --json

"""
_LIST = """\b
Examples:
  paperfleet backup list
  paperfleet backup list --all --json

"""
_RESTORE = """\b
Examples:
  paperfleet backup restore                 # the last complete one, into this installation
  paperfleet backup restore 1f6a23c4
  paperfleet backup restore --to /mnt/restored
  paperfleet backup restore --document 17 --document 18 --to found
  paperfleet backup restore --search "invoice acme" --to found

"""
_VERIFY = """\b
Examples:
  paperfleet backup verify
  paperfleet backup verify --read 10%
  paperfleet backup verify 1f6a23c4 --read 100%
  paperfleet backup verify --files

"""
_UNLOCK = """\b
Examples:
  paperfleet backup unlock

"""


@click.group("backup", epilog=EXAMPLES)
def command() -> None:
    """Back up a paperless-ngx with restic, check it, and restore it."""


command.add_command(backupdrill.command)


@command.command("run", epilog=_RUN + help_text("backup run"))
@click.option("--init", is_flag=True, help="Make the repository where there is none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(*, init: bool, as_json: bool) -> int:
    """Back up the database, every file that it names, and the configuration.

    paperless-ngx goes on working. A file that is missing, or that is not what the database says,
    is named, and the code is 3.
    """
    from paperfleet.backup.bar import BackupBar  # noqa: PLC0415  # slow to import
    from paperfleet.backup.heartbeat import address_of, beating  # noqa: PLC0415  # as above
    from paperfleet.backup.taking import Taking  # noqa: PLC0415  # as above
    from paperfleet.fleet.instance import instance_of  # noqa: PLC0415  # as above

    settings, place, repository = opened()
    url = address_of(settings.heartbeat_url, settings.heartbeat_url_file)
    tell = partial(say, err=True)
    with signals(), beating(url, tell) as heart, BackupBar() as bar:
        taking = Taking(settings, place, repository, instance_of(os.environ))
        taken = taking.run(init=init or settings.init, say=tell, listener=bar)
        heart.good = taken.complete and not taken.not_forgotten
    _tell_faults(taken.manifest)
    if as_json:
        say_json(_document(taken))
    else:
        _tell(taken)
    if taken.not_forgotten:
        say(f"old backups were not let go of: {taken.not_forgotten}", err=True)
    backupdrill.tell_last(backupdrill.of_these(settings, place, repository))
    return FINE if heart.good else FAILED


@command.command("list", epilog=_LIST + help_text("backup list"))
@click.option("--all", "of_all", is_flag=True, help="Those of other installations too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(*, of_all: bool, as_json: bool) -> int:
    """Show the backups in the repository, the oldest first."""
    from paperfleet.backup.snapshots import rows  # noqa: PLC0415  # slow to import

    settings, place, repository = opened()
    found = rows(repository, "" if of_all else settings.name)
    if as_json:
        say_json([row._asdict() for row in found])
    else:
        _show(found)
    backupdrill.tell_last(backupdrill.of_these(settings, place, repository))
    return FINE


@command.command("restore", epilog=_RESTORE + help_text("backup restore"))
@click.argument("snapshot", default="latest")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    help="Only lay the backup out in this folder; it has a script for document_importer.",
)
@click.option(
    "--document",
    "documents",
    type=int,
    multiple=True,
    metavar="NUMBER",
    help="Only the files of this document, into the folder of --to; may be given several times.",
)
@click.option(
    "--search",
    metavar="TEXT",
    default="",
    help="Only the files of documents with each of these words, into the folder of --to.",
)
def restore(snapshot: str, *, folder: Path | None, documents: tuple[int, ...], search: str) -> int:
    """Restore SNAPSHOT (the last complete one) into this installation, which has to be empty.

    It has to be of the same version of paperless-ngx. Cut off at any point, run it again: what is
    there is not fetched again.
    """
    if documents or search:
        if folder is None:
            raise click.UsageError("--document and --search need a folder: --to FOLDER")
        return _pick(snapshot, folder, documents, search)
    from paperfleet.backup.restoring import Restoring  # noqa: PLC0415  # slow to import
    from paperfleet.backup.snapshots import chosen  # noqa: PLC0415  # as above

    settings, place, repository = opened()
    row = chosen(repository, settings.name, snapshot)
    restoring = Restoring(repository, row)
    with signals():
        if folder is not None:
            manifest = restoring.lay_out(folder.absolute())
            say(f"to import it: python3 {folder}/data/lay_out.py EMPTY_FOLDER, then what it says")
        else:
            from paperfleet.fleet.instance import instance_of  # noqa: PLC0415  # for this alone

            instance = instance_of(os.environ)
            manifest = restoring.into(instance, place, lambda text: say(text, err=True))
    _tell_faults(manifest)
    where = str(folder) if folder else "this installation"
    say(
        f"{manifest.documents:,} documents, {files_text(len(manifest.files))},"
        f" {size_text(manifest.size)}, as of {manifest.as_of}, are in {where}, proven by SHA-256"
    )
    return FAILED if manifest.faults else FINE


@command.command("verify", epilog=_VERIFY + help_text("backup verify"))
@click.argument("snapshot", default="latest")
@click.option(
    "--read",
    "subset",
    metavar="PART",
    default="",
    help="Read so much of the repository, such as 10%, 1/7 or 100%. [its structure alone]",
)
@click.option(
    "--files",
    "files",
    is_flag=True,
    help="Read every file of SNAPSHOT, as a restore does, and compare it with its SHA-256.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(snapshot: str, *, subset: str, files: bool, as_json: bool) -> int:
    """Check the repository, and that SNAPSHOT (the last complete one) has all of its files.

    Of the tree on this host every file is read. One that is damaged is taken out of it, and the
    next run brings it again.
    """
    from paperfleet.backup import verifying  # noqa: PLC0415  # slow to import
    from paperfleet.backup.place import alone  # noqa: PLC0415  # as above
    from paperfleet.backup.snapshots import chosen  # noqa: PLC0415  # as above
    from paperfleet.running.bar import Bar  # noqa: PLC0415  # as above

    settings, place, repository = opened()
    with signals():
        row = chosen(repository, settings.name, snapshot)
        found = verifying.verify(repository, row, subset=subset)
        if files:
            with Bar("read") as bar:
                found = verifying.read_all(
                    repository, found, planned=bar.plan, listener=bar.advance
                )
        with alone(place), Bar("read tree") as bar:
            tree = verifying.verify_tree(place, planned=bar.plan, listener=bar.advance)
        if tree.damaged and not files:
            found = verifying.read_some(repository, found, tree.damaged)
    if as_json:
        say_json(
            {
                "snapshot": row.snapshot,
                "as_of": row.as_of,
                "files": found.files,
                "missing": found.missing,
                "wrong": found.wrong,
                "read": subset,
                "files_read": found.read,
                "tree": tree._asdict(),
            }
        )
    else:
        read = f"{subset} of it was read" if subset else "none of it was read (--read)"
        say(f"the repository is whole; {read}")
        say(f"backup {row.snapshot[:8]}, as of {row.as_of}: {files_text(found.files)} named")
        for name in found.missing:
            say(f"missing: {name}")
        for name in found.wrong:
            say(f"other bytes than were to be backed up: {name}")
        if found.read:
            say(f"{files_text(found.read)} of it read, {len(found.wrong):,} with other bytes")
        _tell_tree(tree, place)
    return FINE if found.is_good and not tree.damaged else FAILED


@command.command("unlock", epilog=_UNLOCK + help_text("backup unlock"))
def unlock() -> int:
    """Remove the locks that processes which have died left in the repository."""
    _, _, repository = opened()
    repository.unlock()
    say("unlocked")
    return FINE


def _pick(snapshot: str, folder: Path, documents: tuple[int, ...], search: str) -> int:
    """Bring single documents to a folder."""
    from paperfleet.backup import picking  # noqa: PLC0415  # slow to import
    from paperfleet.backup.snapshots import chosen  # noqa: PLC0415  # as above

    settings, _, repository = opened()
    with signals():
        row = chosen(repository, settings.name, snapshot)
        found = picking.find(repository, row, documents, search)
        bad = picking.write(repository, row, found, folder.absolute())
    for document in found:
        say(f"document {document.number}: {document.title}")
        for file in document.files:
            said = (file.fault or "it is damaged in the backup") if file in bad else ""
            say(f"  {file.role}/{file.key}{f': {said}' if said else ''}")
    say(
        f"{len(found):,} documents of backup {row.snapshot[:8]}, as of {row.as_of}, are in {folder}"
    )
    return FAILED if bad else FINE


def _tell_tree(tree: ProvenTree, place: BackupPlace) -> None:
    if not tree.files:
        say(f"there is no tree in {place.tree}: it is on the host that backs up")
        return
    say(f"{files_text(tree.files)} of the tree read, {len(tree.damaged):,} damaged")
    for name in tree.damaged[:_SHOWN]:
        say(f"damaged in the tree: {name}", err=True)
    if tree.damaged:
        say(
            f"They lie in {place.damaged} now. Look at that disk; the next run brings them again.",
            err=True,
        )


def opened() -> tuple[BackupSettings, BackupPlace, Repository]:
    """Return what the environment says; raise ``ConfigurationError``."""
    from paperfleet.backup.place import BackupPlace  # noqa: PLC0415  # slow to import
    from paperfleet.backup.restic import restic_of  # noqa: PLC0415  # as above
    from paperfleet.settings.backup import folder_in, settings_in, table  # noqa: PLC0415  # as above
    from paperfleet.settings.environment import mistake  # noqa: PLC0415  # as above

    if error := mistake(os.environ):
        raise error
    settings = settings_in(os.environ)
    place = BackupPlace(folder_in(os.environ))
    place.make()
    if settings.plain:
        from paperfleet.backup.plain import plain_store  # noqa: PLC0415  # as above
        from paperfleet.settings.storages import storage_of  # noqa: PLC0415  # as above

        variable = table()["plain_options"].variable
        storage = storage_of(settings.plain, variable, os.environ)
        return settings, place, plain_store(storage, settings.name)
    return settings, place, restic_of(settings, os.environ, place / "cache", partial(say, err=True))


def signals() -> AbstractContextManager[None]:
    """Let SIGTERM and SIGINT end what goes on in the block, in order."""
    from paperfleet.running.stopping import Stopper, signals_to  # noqa: PLC0415  # slow to import

    return signals_to(Stopper())


def _tell_faults(manifest: Manifest) -> None:
    for file in manifest.faults[:_SHOWN]:
        say(f"fault: document {file.document}, {file.role}/{file.key}: {file.fault}", err=True)
    if len(manifest.faults) > _SHOWN:
        say(f"… and {len(manifest.faults) - _SHOWN:,} more", err=True)


def _tell(taken: TakenBackup) -> None:
    manifest, summary = taken.manifest, taken.summary
    say(
        f"backup {summary.snapshot[:8]}: {manifest.documents:,} documents,"
        f" {files_text(len(manifest.files))}, {size_text(manifest.size)}, as of {manifest.as_of}"
    )
    new, size = int(str(taken.collected["new"])), int(str(taken.collected["new_size"]))
    say(
        f"new: {files_text(new)}, {size_text(size)}; the repository grew by"
        f" {size_text(summary.added)}"
    )
    if not taken.complete:
        say(
            f"Not complete: {files_text(len(manifest.faults))} as above. Mend them"
            " (manage.py paperfleet_check), and run it again. Older complete backups are kept.",
            err=True,
        )


def _document(taken: TakenBackup) -> dict[str, object]:
    manifest, summary = taken.manifest, taken.summary
    return {
        "snapshot": summary.snapshot,
        "complete": taken.complete,
        "as_of": manifest.as_of,
        "paperless": manifest.paperless,
        "documents": manifest.documents,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "added_bytes": summary.added,
        **taken.collected,
        "faults": [file._asdict() for file in manifest.faults],
    }


def _show(found: list[BackupRow]) -> None:
    from rich.console import Console  # noqa: PLC0415  # rich is slow to import
    from rich.markup import escape  # noqa: PLC0415  # as above
    from rich.table import Table  # noqa: PLC0415  # as above

    if not found:
        say("there is no backup yet: paperfleet backup run")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("backup", "of", "as of (UTC)", "paperless-ngx"):
        table.add_column(title)
    for title in ("documents", "files", "size"):
        table.add_column(title, justify="right")
    table.add_column("")
    for row in found:
        table.add_row(
            row.snapshot[:8],
            escape(readable(row.name)),
            escape(readable(row.as_of[:16].replace("T", " "))),
            escape(readable(row.paperless)),
            f"{row.documents:,}",
            f"{row.files:,}",
            size_text(row.size),
            "" if row.complete else "incomplete",
        )
    Console(highlight=False, soft_wrap=True).print(table)

"""Opening a journal file: what is refused, what is created, what is brought up to date."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING, Final

from paperfleet.errors import JournalError
from paperfleet.filesystems import filesystem_type, is_network
from paperfleet.journal.database import (
    MIGRATIONS,
    MOVE_ASIDE,
    Database,
    explained_os,
    queries,
    read_sql,
)
from paperfleet.private import make_folder

if TYPE_CHECKING:
    from pathlib import Path


class ProcessLock:
    """An exclusive ``flock(2)`` on a file that names its holder.

    The kernel releases it when the process ends, however it ends. The file stays: removing it
    would let two processes hold locks on two files of one name.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock; raise ``JournalError`` naming the holder, ``OSError`` from the disk."""
        self._descriptor: int | None = None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor, path)
            _write_holder(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in; releasing twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 300, 0).decode("utf-8", "replace").strip()
        raise JournalError(
            f"Another mirror uses this journal: {holder or 'a process just starting'} holds {path}",
            hint="Stop it first, or give this mirror a journal of its own",
        ) from None


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


APPLICATION_ID: Final = 0x50464C54
"""Marks an SQLite file as a journal of ours ("PFLT")."""

_SQL = queries("schema")


def lock_and_create(path: Path) -> ProcessLock:
    """Take the lock of the journal and see that the file exists, readable by its owner alone."""
    fstype = filesystem_type(path)
    if is_network(fstype):
        raise JournalError(
            f"The journal {path} would lie on a network filesystem ({fstype})",
            hint="Put it on a local disk: it needs locks and shared memory that such a"
            " filesystem does not give",
        )
    with explained_os(path):
        make_folder(path.parent)
        # A file beside it: SQLite locks the journal itself, and closing any descriptor of a file
        # drops all POSIX locks that the process has on it (fcntl(2)).
        lock = ProcessLock(path.with_name(path.name + ".lock"))
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except BaseException:
            lock.release()
            raise
        return lock


def open_for_writing(path: Path) -> Database:
    """Open the existing file, check it, and bring its schema up to date."""
    database = Database(path, "rw")
    try:
        version = checked_version(database)
        # Before anything is written: a damaged file is moved aside as it was found.
        check_pages(database)
        database.use_wal()
        _migrate(database, version)
    except BaseException:
        database.close()
        raise
    return database


def open_for_reading(path: Path) -> Database:
    """Open a journal of the current schema without changing it."""
    with explained_os(path):
        if not path.exists():
            raise JournalError(
                f"There is no journal at {path}", hint="Start the mirror, or name the right file"
            )
    database = Database(path, "ro")
    try:
        _check_complete(database, checked_version(database))
    except BaseException:
        database.close()
        raise
    return database


def claim(database: Database, source: str, target: str, now: float) -> None:
    """Bind the journal to this pair of labels, or see that it is bound to it already."""
    for pair in database.rows(_SQL["pair"]):
        if pair != (source, target):
            raise JournalError(
                f"The journal {database.path} belongs to {pair[0]} -> {pair[1]},"
                f" not to {source} -> {target}",
                hint="Give this pair a journal of its own, or move the old one aside if the pair"
                " was renamed",
            )
    with database.transaction(durable=True) as connection:
        connection.execute(_SQL["set_pair"], (source, target, now))


def checked_version(database: Database) -> int:
    """Return the schema's version; raise ``JournalError`` for a foreign or a newer file."""
    mark = database.value("PRAGMA application_id")
    if mark != APPLICATION_ID and (mark or database.value(_SQL["tables"])):
        raise JournalError(
            f"The SQLite file {database.path} is not a journal of Paperfleet",
            hint="Name another file for the journal",
        )
    version = int(database.value("PRAGMA user_version"))
    if version > len(MIGRATIONS):
        raise JournalError(
            f"The journal {database.path} was written by a newer Paperfleet"
            f" (schema {version}; this one knows {len(MIGRATIONS)})",
            hint=f"Use the newer version. Or: {MOVE_ASIDE[0].lower()}{MOVE_ASIDE[1:]}",
        )
    return version


def _check_complete(database: Database, version: int) -> None:
    if version < len(MIGRATIONS):
        raise JournalError(
            f"The journal {database.path} is not set up yet, or by an older Paperfleet",
            hint="Start the mirror, which brings it up to date",
        )


def check_pages(database: Database) -> None:
    """Raise ``JournalError`` for a damaged file (SQLite: ``PRAGMA quick_check``)."""
    found = database.value("PRAGMA quick_check(1)")
    if found != "ok":
        raise JournalError(f"The journal {database.path} is corrupt ({found})", hint=MOVE_ASIDE)


def _migrate(database: Database, version: int) -> None:
    for number, file in enumerate(MIGRATIONS[version:], version + 1):
        database.script(
            f"{read_sql(file)}\n"
            f"PRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};"
        )

"""The program restic, which keeps the backups: typed, with its errors as ours.

Tested from 0.14 (Debian 12) on. Since 0.17 its exit codes tell some errors apart (its manual,
"Scripting"); the texts do so for those before. Password and address reach it by the environment
alone, as everybody on the machine can read the list of processes.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final, NamedTuple, cast

from paperfleet.backup.manifest import TREE
from paperfleet.backup.repository import BackupProgress, BackupSummary, Snapshot, StoredFile
from paperfleet.backup.retries import told_retries
from paperfleet.errors import (
    ConfigurationError,
    NoRepositoryError,
    RepositoryDamagedError,
    RepositoryError,
    RepositoryFullError,
    RepositoryLockedError,
    WrongKeyError,
)
from paperfleet.storage.addresses import redacted
from paperfleet.storage.hashing import CHUNK, sha256_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from paperfleet.settings.backup import BackupSettings

LOWEST: Final = (0, 14)
INSTALL: Final = (
    "Install restic 0.14 or newer (`apt-get install restic`), or name it in"
    " PAPERFLEET_BACKUP_RESTIC"
)
_UNREAD: Final = 3
"""Its exit code of ``backup`` when the snapshot is made, and some files could not be read."""
_ENDING_SECONDS: Final = 30.0
_LOCK_IS_DEAD: Final = timedelta(hours=1)
_SHOWN: Final = 1000
_LOGIN: Final = re.compile(r"://[^/@\s]+@")


class _EndOfRestic(NamedTuple):
    """What an end of restic means; ``code`` 0 is no code of its own."""

    code: int
    text: re.Pattern[str]
    error: type[RepositoryError]
    says: str
    hint: str


_MEANINGS: Final = tuple(
    _EndOfRestic(code, re.compile(text, re.IGNORECASE), error, says, hint)
    for code, text, error, says, hint in (
        (
            12,
            "wrong password|no key found",
            WrongKeyError,
            "the password does not open the repository",
            "Set PAPERFLEET_BACKUP_PASSWORD to the one that it was made with. If that is lost,"
            " nobody can read these backups: make a new repository elsewhere, with --init",
        ),
        (
            11,
            "already locked|unable to create lock",
            RepositoryLockedError,
            "the repository is locked",
            "If another backup or a check is at work there, wait for it. If that one has died, run"
            " `paperfleet backup unlock`",
        ),
        (
            0,
            "no space left|disk quota exceeded|QuotaExceeded|storage is full|insufficient storage",
            RepositoryFullError,
            "there is no room for more in the repository",
            "Make room, or keep fewer backups (PAPERFLEET_BACKUP_KEEP_…), then run it again. The"
            " backups before this one are complete",
        ),
        (
            0,
            "ciphertext verification failed|does not match id|pack .* (damaged|contains errors)"
            "|invalid data returned|repository contains errors|not found in index|hash mismatch",
            RepositoryDamagedError,
            "the repository is damaged",
            "Bring it back from a copy, or back up into a new repository now. `restic check"
            " --read-data` lists what is wrong, and https://restic.readthedocs.io"
            " (Troubleshooting) says what can be repaired",
        ),
        (
            10,
            "is there a repository at|repository does not exist|unable to open config file"
            "|specified (bucket|key) does not exist|connection refused|no such host|timeout",
            NoRepositoryError,
            "there is no repository there, or it cannot be reached",
            "Look at PAPERFLEET_BACKUP_REPOSITORY. To make a new one: paperfleet backup run --init",
        ),
    )
)


@dataclass(frozen=True)
class Restic:
    """One repository. Every method raises ``RepositoryError``.

    ``environ`` is what the program gets, with password and address; ``label`` is that address
    without secrets. ``say`` is told, from a thread, that a store is away and restic tries again.
    ``options`` stand before each command.
    """

    program: str
    environ: Mapping[str, str]
    label: str
    say: Callable[[str], object] = str
    options: tuple[str, ...] = ()

    def for_looking(self) -> Restic:
        """Return the same repository, of which reading leaves no trace: no lock and no cache."""
        return replace(self, options=("--no-lock", "--no-cache"))

    def identity(self) -> str:
        """Return the number that restic gave the repository; empty where there is none."""
        try:
            return str(_object(self._run_bytes("cat", "config")).get("id") or "unnamed")
        except NoRepositoryError:
            return ""

    def init(self) -> None:
        """Make the repository; raise when there is one."""
        self._run("init")

    def backup(
        self,
        folder: Path,
        paths: Sequence[str],
        *,
        host: str,
        tags: Sequence[str],
        listener: Callable[[BackupProgress], object],
    ) -> BackupSummary:
        """Take these paths below ``folder``; they are at the root of the snapshot.

        A file that cannot be read makes it raise, though restic has made a snapshot by then.
        """
        words = ["backup", "--json", "--host", host, *_each("--tag", tags), *paths]
        last: dict[str, object] = {}
        for line in self._lines(words, cwd=folder):
            message = _object(line)
            kind = message.get("message_type")
            if kind == "status":
                keys = ("files_done", "total_files", "bytes_done", "total_bytes")
                listener(BackupProgress(*(_number(message, key) for key in keys)))
            elif kind == "summary":
                last = message
        keys = ("files_new", "files_changed", "files_unmodified", "total_bytes_processed")
        if not last.get("snapshot_id"):
            raise self._error("backup", "it ended without a summary")
        counts = (_number(last, key) for key in (*keys, "data_added"))
        return BackupSummary(str(last["snapshot_id"]), *counts)

    def snapshots(self, *, host: str = "", tags: Sequence[str] = ()) -> list[Snapshot]:
        """Return those that have all of these tags, the oldest first."""
        words = ["snapshots", "--json", *_filter(host, tags)]
        found = json.loads(self._run(*words) or "null") or []
        return sorted(map(_snapshot, found), key=lambda one: one.moment)

    def forget(self, *, host: str, tags: Sequence[str], keep: Mapping[str, int]) -> None:
        """Keep of the snapshots with these tags so many of each kind, such as ``daily``."""
        kept = [word for kind, count in keep.items() for word in (f"--keep-{kind}", str(count))]
        self._run("forget", *_filter(host, tags), "--group-by", "host", *kept, "--prune")

    def files(self, snapshot: str) -> Iterator[StoredFile]:
        """Yield every file of a snapshot."""
        for line in self._lines(["ls", "--json", snapshot]):
            entry = _object(line)
            if entry.get("type") == "file":
                yield StoredFile(str(entry.get("path")), _number(entry, "size"))

    def read(self, snapshot: str, path: str) -> bytes:
        """Return the content of one file, by its path from the root."""
        return self._run_bytes("dump", snapshot, path)

    def write(self, snapshot: str, path: str, target: IO[bytes]) -> None:
        """Write the content of one file to a stream."""
        self._run_bytes("dump", snapshot, path, target=target)

    def restore(self, snapshot: str, target: Path, paths: Sequence[str] = ()) -> None:
        """Lay a snapshot out below a folder, over what is there; of it these paths, or all.

        A path is one from the root of the snapshot, such as ``/data``.
        """
        self._run("restore", snapshot, "--target", str(target), *_each("--include", paths))

    def digests(self, snapshot: str) -> Iterator[tuple[str, int, str]]:
        """Yield each content of a snapshot: the SHA-256 of its name, its size, and the real one.

        Raises ``RepositoryDamagedError``.
        """
        try:
            with (
                self.dumped(snapshot, f"/{TREE}") as stream,
                tarfile.open(fileobj=stream, mode="r|") as archive,
            ):
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None:
                        name = member.name.rpartition("/")[2]
                        yield name, member.size, sha256_in(content)
        except tarfile.TarError as error:
            raise RepositoryDamagedError(
                f"restic dump on {self.label}: the backup cannot be read: {error}",
                hint="Run paperfleet backup verify --read 100%",
            ) from None

    @contextmanager
    def dumped(self, snapshot: str, path: str) -> Iterator[IO[bytes]]:
        """Give out a file of a snapshot as a stream, or a folder as one in the format of tar.

        Raises on leaving when it was cut off.
        """
        with self._running(["dump", snapshot, path]) as program:
            stream = cast("IO[bytes]", program.stdout)
            yield stream
            while stream.read(CHUNK):  # it waits until all of it was taken
                pass
            program.wait()

    def check(self, *, subset: str = "") -> str:
        """Check the repository's structure; with ``subset`` ("10%", "1/7", "100%") read it too.

        Returns what restic says of it. Raises ``RepositoryDamagedError``.
        """
        words = [f"--read-data-subset={subset}"] if subset else []
        try:
            return self._run("check", *words)
        except RepositoryError as error:
            if type(error) is not RepositoryError:
                raise
            meaning = next(one for one in _MEANINGS if one.error is RepositoryDamagedError)
            raise RepositoryDamagedError(error.message, hint=meaning.hint) from None

    def has_dead_locks_alone(self) -> bool:
        """Say whether nobody has renewed any of its locks for so long that nobody works there.

        restic renews a lock every five minutes. That its process is not to be seen says nothing:
        it may be one of another container.
        """
        newest = datetime.now(UTC) - _LOCK_IS_DEAD
        found = [
            _object(self._run_bytes("cat", "lock", number, "--no-lock")).get("time")
            for number in self._run("list", "locks", "--no-lock").split()
        ]
        return bool(found) and all(datetime.fromisoformat(str(one)) < newest for one in found)

    def unlock(self) -> None:
        """Remove the locks of processes that have died."""
        self._run("unlock")

    def _run(self, *words: str) -> str:
        return self._run_bytes(*words).decode(errors="replace")

    def _run_bytes(self, *words: str, target: IO[bytes] | None = None) -> bytes:
        """Return what it prints, unless that goes to ``target``."""
        with self._running(words, stdout=target or subprocess.PIPE) as program:
            answer, _ = program.communicate()
        return answer or b""

    def _lines(self, words: Sequence[str], cwd: Path | None = None) -> Iterator[bytes]:
        """Yield what it prints as it comes."""
        with self._running(words, cwd=cwd) as program:
            yield from program.stdout or ()
            program.wait()

    @contextmanager
    def _running(
        self,
        words: Sequence[str],
        *,
        stdout: int | IO[bytes] = subprocess.PIPE,
        cwd: Path | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start restic; the block waits for its end. An exception in there ends it.

        Raises ``ConfigurationError`` where it cannot be run, ``RepositoryError`` for what it says.
        """
        with TemporaryFile() as errors:
            try:
                started = subprocess.Popen(  # noqa: S603  # the words are ours
                    [*_ended_with_us(), self.program, *self.options, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=errors,
                    env=dict(self.environ),
                    cwd=cwd,
                )
            except OSError as error:
                raise ConfigurationError(
                    f"{self.program} cannot be run: {error.strerror}", hint=INSTALL
                ) from None
            with started as program, told_retries(errors, self._tell_retry):
                try:
                    yield program
                except BaseException:
                    _end(program)
                    raise
            self._require_good(words[0], program.returncode, errors)

    def _tell_retry(self, line: str) -> None:
        self.say(
            f"{self.label} does not answer as it should; restic tries again, and gives up after"
            f" minutes: {_shown(line)}"
        )

    def _require_good(self, verb: str, code: int, errors: IO[bytes]) -> None:
        if code:
            errors.seek(0)
            raise self._meant(verb, code, errors.read().decode(errors="replace"))

    def _meant(self, verb: str, code: int, text: str) -> RepositoryError:
        for one in _MEANINGS:
            if code == one.code or one.text.search(text):
                what = f"restic {verb} on {self.label}: {one.says} ({_shown(text)})"
                return one.error(what, hint=one.hint)
        if verb == "backup" and code == _UNREAD:
            return self._error(verb, f"some files could not be read: {_shown(text)}")
        return self._error(verb, f"it ended with {code}: {_shown(text)}")

    def _error(self, verb: str, reason: str) -> RepositoryError:
        return RepositoryError(
            f"restic {verb} on {self.label}: {reason}",
            hint="The backups before are as they were. Run it again when that is mended",
        )


def restic_of(
    settings: BackupSettings,
    environ: Mapping[str, str],
    cache: Path,
    say: Callable[[str], object] = str,
) -> Restic:
    """Return the repository that the settings name; raise ``ConfigurationError``.

    restic gets the environment without its own variables and ours, so that only the settings say
    which repository it is. ``say`` is that of ``Restic``.
    """
    program = shutil.which(settings.restic, path=environ.get("PATH"))
    if program is None:
        raise ConfigurationError(f"there is no program {settings.restic}", hint=INSTALL)
    ours = ("RESTIC_", "PAPERFLEET_", "PAPERLESS_")
    given = {name: text for name, text in environ.items() if not name.startswith(ours)}
    given["RESTIC_CACHE_DIR"] = str(cache)
    if settings.repository:
        given["RESTIC_REPOSITORY"] = settings.repository.reveal()
        label = redacted(settings.repository.reveal())
    else:
        given["RESTIC_REPOSITORY_FILE"] = str(settings.repository_file)
        label = f"the repository that {settings.repository_file} names"
    if settings.password:
        given["RESTIC_PASSWORD"] = settings.password.reveal()
    else:
        given["RESTIC_PASSWORD_FILE"] = str(settings.password_file)
    found = Restic(program, given, label, say)
    _require_version(found)
    return found


def _require_version(restic: Restic) -> None:
    text = restic._run("version")  # noqa: SLF001  # of this module
    numbers = re.match(r"restic (\d+)\.(\d+)", text)
    if not numbers or tuple(map(int, numbers.groups())) < LOWEST:
        raise ConfigurationError(f"{restic.program} is too old: {text.strip()!r}", hint=INSTALL)


@cache
def _ended_with_us() -> tuple[str, ...]:
    """Return what lets restic end in order when this process is killed (Linux, util-linux).

    Else it would go on with a backup whose files the next run replaces meanwhile.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "INT", "--") if setpriv else ()


def _end(program: subprocess.Popen[bytes]) -> None:
    """Let restic end in order, so that its lock goes."""
    program.send_signal(signal.SIGINT)
    if program.stdout:
        program.stdout.close()
    try:
        program.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()


def _filter(host: str, tags: Sequence[str]) -> list[str]:
    return [*(["--host", host] if host else []), *(["--tag", ",".join(tags)] if tags else [])]


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _object(line: bytes) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(message: Mapping[str, object], key: str) -> int:
    value = message.get(key, 0)
    return value if isinstance(value, int) else 0


def _snapshot(value: Mapping[str, object]) -> Snapshot:
    tags, paths = (value.get(key) for key in ("tags", "paths"))
    number, time, host = (str(value.get(key, "")) for key in ("id", "time", "hostname"))
    return Snapshot(number, time, host, _texts(tags), _texts(paths))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _shown(text: str) -> str:
    """Return the end of what it said in one line, without a password of an address."""
    line = " / ".join(line.strip() for line in text.splitlines() if line.strip())
    return _LOGIN.sub("://***@", line)[-_SHOWN:]

"""Every name of Python, Django and paperless-ngx that is replaced, in one table.

paperless-ngx has no place for a storage to plug in; these are the places where its documents pass.
Each row says why, and in which versions. At start every row is installed and looked at, and
``selftest`` runs paperless-ngx's own helpers through all of them; a name that is missing stops the
process, so that no version ever writes documents past the storage.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core import management

from paperfleet.errors import ConfigurationError
from paperfleet.paperless.areas import AREAS, CLASSIFIER
from paperfleet.paperless.documents.medialock import LeaseFactory
from paperfleet.paperless.documents.paths import StoragePath
from paperfleet.paperless.seams import modelfiles
from paperfleet.paperless.seams import replacements as new

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.paperless.config import AppConfiguration

ALL = ""
"""Every version that is supported."""
V2 = "2."
V3 = "3."


class Seam(NamedTuple):
    """One replaced name: ``owner`` is a module or ``module:Class``, ``make`` takes the original.

    A ``late`` one is replaced when its command is loaded: importing it would slow every start.
    One that is ``if_there`` is passed over where its module is not there.
    """

    owner: str
    name: str
    make: Callable[[Any], Any]
    why: str
    versions: str = ALL
    late: bool = False
    if_there: bool = False

    @property
    def label(self) -> str:
        """The full name, for people."""
        return f"{self.owner.replace(':', '.')}.{self.name}"


def table(configuration: AppConfiguration) -> tuple[Seam, ...]:
    """Return the seams of every version."""

    def lease(original: Any) -> LeaseFactory:  # noqa: ANN401  # a FileLock's class
        return LeaseFactory(
            original, configuration.lock_kind, configuration.settings.media_lock_seconds
        )

    lock = "the media lock is a lease, which hosts can share"
    return (
        # owner, name, replacement, why
        Seam(
            "pathlib:Path", "__new__", new.path, "a path made from a text leads to the storage too"
        ),
        Seam("builtins", "open", new.open_file, "open(path) streams; pikepdf.open(str(path))"),
        Seam("shutil", "move", new.move, "renames, trash, archiver: a move inside of the storage"),
        Seam("shutil", "copy", new.copy, "exporter and importer copy files"),
        Seam("shutil", "copy2", new.copy2, "as copy"),
        Seam("shutil", "copyfile", new.copyfile, "as copy"),
        Seam("shutil", "copymode", new.copymode, "a storage has no rights of files"),
        Seam("shutil", "copystat", new.copystat, "a storage keeps its own times"),
        Seam("subprocess:Popen", "__init__", new.popen, "programs get local copies of documents"),
        Seam("pikepdf:Pdf", "save", new.pdf_save, "it saves through a temporary file beside"),
        Seam("documents.utils", "utime", new.utime, "a storage keeps its own times"),
        Seam(
            "documents.file_handling",
            "delete_empty_directories",
            new.delete_empty_directories,
            "a bucket has no folders to look into after each rename",
        ),
        Seam(
            "documents.signals.handlers",
            "delete_empty_directories",
            new.delete_empty_directories,
            "the same, as it was imported there",
        ),
        Seam(
            "documents.tasks",
            "empty_trash",
            new.empty_trash,
            "the trash says what it could not delete; upstream answers OK",
        ),
        Seam(
            SHA256_MIGRATION,
            "_sha256",
            new.sha256_of_all,
            "a new checksum of a damaged document would call it whole",
            if_there=True,
        ),
        Seam(
            "django.db.transaction:Atomic",
            "__exit__",
            new.atomic_exit,
            "what a rolled back transaction wrote is taken back",
        ),
        Seam(_DJANGO_FILES, "path", modelfiles.path, "the logo is read by a C library"),
        Seam(_DJANGO_FILES, "_save", modelfiles.save, "Django saves the logo by os.open"),
        Seam(_DJANGO_FILES, "delete", modelfiles.delete, "Django deletes it by os.remove"),
        Seam(
            "paperless.checks",
            "path_check",
            new.path_check,
            "it would write into the trash folder in a storage that may be another's",
        ),
        Seam("documents.consumer", "FileLock", lease, lock),
        Seam("documents.tasks", "FileLock", lease, lock),
        Seam("documents.mail", "FileLock", lease, lock),
        Seam("documents.signals.handlers", "FileLock", lease, lock),
        Seam(
            "django.core.management", "load_command_class", _loading, "to reach the commands below"
        ),
        Seam(f"{_COMMANDS}.document_exporter", "FileLock", lease, lock, late=True),
        Seam(f"{_COMMANDS}.document_importer", "FileLock", lease, lock, late=True),
        *(_search() if configuration.settings.fleet else ()),
    )


SHA256_MIGRATION = "documents.migrations.0016_sha256_checksums"
_DJANGO_FILES = "django.core.files.storage.filesystem:FileSystemStorage"
_COMMANDS = "documents.management.commands"


_INDEX_V3, _INDEX_V2 = "documents.search._backend", "documents.index"
_TANTIVY = f"{_INDEX_V3}:TantivyBackend"
_SEARCHED = "a search sees this process's own latest edit"


def _search() -> tuple[Seam, ...]:
    """Return those of the search index, in a fleet."""
    from paperfleet.paperless.search import writers  # noqa: PLC0415  # in a fleet alone

    return (
        Seam(_TANTIVY, "batch_update", writers.batch_update, "the index of each host is fed", V3),
        Seam(_TANTIVY, "rebuild", writers.rebuild, "each host builds its own index", V3),
        Seam(
            _INDEX_V3,
            "open_or_rebuild_index",
            writers.open_or_rebuild_index,
            "no process empties an index that another one leads",
            V3,
        ),
        *(
            Seam(_TANTIVY, name, writers.after_own_changes, _SEARCHED, V3)
            for name in ("search_ids", "autocomplete", "more_like_this_ids")
        ),
        Seam(
            f"{_COMMANDS}.document_index",
            "needs_rebuild",
            writers.never_needed,
            "the web server builds the index of its host",
            V3,
            late=True,
        ),
        Seam(
            f"{_COMMANDS}.document_index",
            "wipe_index",
            writers.nothing,
            "no command empties an index that is in use",
            V3,
            late=True,
        ),
        Seam(_INDEX_V2, "open_index", writers.open_index, "no process makes one anew", V2),
        Seam(
            _INDEX_V2,
            "open_index_writer",
            writers.open_index_writer,
            "the index of each host is fed",
            V2,
        ),
        Seam(
            _INDEX_V2,
            "update_document",
            writers.update_document,
            "only the number of a document matters to the stream",
            V2,
        ),
        Seam("documents.tasks", "AsyncWriter", writers.async_writer, "as open_index_writer", V2),
        Seam(
            "documents.tasks",
            "index_reindex",
            writers.index_reindex,
            "each host builds its own index",
            V2,
        ),
    )


def _loading(original: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    @functools.wraps(original)
    def load(app_name: str, name: str) -> Any:  # noqa: ANN401  # Django's
        command = original(app_name, name)
        for waiting in _waiting.pop(f"{app_name}.management.commands.{name}", ()):
            _install(waiting)
        return command

    return load


def applying(configuration: AppConfiguration, version: str) -> Iterator[Seam]:
    """Yield the seams of one version."""
    for seam in table(configuration):
        is_there = not seam.if_there or importlib.util.find_spec(seam.owner) is not None
        if is_there and version.startswith(seam.versions):
            yield seam


_installed: dict[str, tuple[Any, str, Any, Any]] = {}
"""For each label: the owner, the name, the original and what stands in its place."""
_waiting: dict[str, tuple[Seam, ...]] = {}
"""Late seams by the module that they are for."""


def install(configuration: AppConfiguration, version: str) -> None:
    """Replace every name of the table; raise ``ConfigurationError`` for one that is missing."""
    _waiting.clear()
    for seam in applying(configuration, version):
        if seam.late and seam.owner not in sys.modules:
            _waiting[seam.owner] = (*_waiting.get(seam.owner, ()), seam)
        elif seam.label not in _installed:
            _install(seam)


def _install(seam: Seam) -> None:
    owner = _owner(seam)
    original = vars(owner).get(seam.name)
    if original is None:
        raise _missing(seam, "it is not there")
    if isinstance(original, staticmethod):
        replacement: Any = staticmethod(seam.make(original.__func__))
    else:
        replacement = seam.make(original)
    setattr(owner, seam.name, replacement)
    _installed[seam.label] = (owner, seam.name, original, vars(owner)[seam.name])


def uninstall() -> None:
    """Put every original back; for tests."""
    for owner, name, original, _ in reversed(_installed.values()):
        setattr(owner, name, original)
    _installed.clear()
    _waiting.clear()


def feed_search() -> bool:
    """Say whether the search index is fed by a stream here."""
    return any(label.startswith((f"{_INDEX_V3}.", f"{_INDEX_V2}.")) for label in _installed)


def faults() -> Iterator[str]:
    """Yield a text for each installed seam in whose place something else stands now."""
    for label, (owner, name, _, replacement) in _installed.items():
        if vars(owner).get(name) is not replacement:
            yield f"{label} was replaced by something else after the start"


def awaited(module: str) -> Callable[[Any], Any] | None:
    """Return what makes the seam of a command's module that is not loaded yet, None for none."""
    return next((seam.make for seam in _waiting.get(module, ())), None)


def reaches_commands() -> bool:
    """Load a small command of Django's; say whether it is one, and a seam was put in with it."""
    seam = Seam(_SMALL_COMMAND, "checks", lambda original: original, "tried at start", late=True)
    _waiting[seam.owner] = (seam,)
    try:
        command = management.load_command_class("django.core", "check")
        # With a name that was replaced it can be anything.
        return hasattr(command, "handle") and seam.label in _installed
    finally:
        _waiting.pop(seam.owner, None)
        _installed.pop(seam.label, None)


_SMALL_COMMAND = "django.core.management.commands.check"


def _owner(seam: Seam) -> Any:  # noqa: ANN401  # a module or a class
    module_name, _, class_name = seam.owner.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise _missing(seam, f"{module_name} cannot be imported: {error}") from error
    if not class_name:
        return module
    if not hasattr(module, class_name):
        raise _missing(seam, f"{module_name} has no {class_name}")
    return getattr(module, class_name)


def _missing(seam: Seam, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"paperless-ngx has changed where its documents pass: {seam.label}: {reason}",
        hint="This version is not supported yet. Nothing was touched",
    )


def mounted(settings: Any, chosen: frozenset[str]) -> dict[str, str]:  # noqa: ANN401  # Django's
    """Turn the settings into ``StoragePath``; return the root of each mount and its key."""
    areas = [
        area
        for area in AREAS.values()
        if not area.optional or (area.key in chosen and area.folder(settings))
    ]
    roots = {area.folder(settings): area.key for area in areas}
    for name in ("MEDIA_ROOT", *(area.setting for area in areas)):
        setattr(settings, name, StoragePath(str(getattr(settings, name))))
    if CLASSIFIER in chosen:
        folder = Path(settings.DATA_DIR) / CLASSIFIER
        roots[str(folder)] = CLASSIFIER
        settings.MODEL_FILE = StoragePath(folder / Path(settings.MODEL_FILE).name)
    return roots

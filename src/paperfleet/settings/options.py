"""Options of the storages that a command names: variables, as they may hold secrets."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from paperfleet.secret import Secret
from paperfleet.settings.table import About, Setting, rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """JSON objects with options, or files with such an object."""

    source_options: Annotated[
        Secret | None, About("Options of the source of `migrate` and `migrate_storage`")
    ] = None
    source_options_file: Annotated[Path | None, About("File with these options")] = None
    target_options: Annotated[Secret | None, About("Options of the target of `migrate`")] = None
    target_options_file: Annotated[Path | None, About("File with these options")] = None
    storage_options: Annotated[
        Secret | None, About("Options of the storage of `verify` and `repair`")
    ] = None
    storage_options_file: Annotated[Path | None, About("File with these options")] = None


@cache
def table() -> dict[str, Setting]:
    """Return every variable by its key."""
    return rows_of(StorageOptions)


SOURCE_OPTIONS = table()["source_options"].variable
TARGET_OPTIONS = table()["target_options"].variable
STORAGE_OPTIONS = table()["storage_options"].variable

"""Copying with times, and checksums."""

from __future__ import annotations

import hashlib
import shutil
from os import utime
from pathlib import Path


def copy_basic_file_stats(source: Path | str, dest: Path | str) -> None:
    source, dest = Path(source).resolve(), Path(dest).resolve()
    about = source.stat()
    utime(dest, ns=(about.st_atime_ns, about.st_mtime_ns))


def copy_file_with_basic_stats(source: Path | str, dest: Path | str) -> None:
    source, dest = Path(source).resolve(), Path(dest).resolve()
    try:
        shutil.copy(source, dest)
    except PermissionError:
        shutil.copyfile(source, dest)
    copy_basic_file_stats(source, dest)


def compute_checksum(path: Path | str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as content:
        while chunk := content.read(64 * 1024):
            digest.update(chunk)
    return digest.hexdigest()

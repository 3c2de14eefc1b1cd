"""Writing the receipt of a migration: it only grows, and replaces no other one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from paperfleet.private import open_text
from paperfleet.running.printing import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from paperfleet.transfer.migrate import MigrationResult
    from paperfleet.transfer.receipt import Receipt


def write_receipt(path: Path, account: MigrationResult, source: str, target: str) -> Path | None:
    """Write what was proven, whole or not at all; return where, None when there was nothing.

    What a receipt of the same target at ``path`` says stays in it. Anything else there stays as it
    is, and the new receipt is written beside it. Only the owner can read it.
    """
    from paperfleet.transfer import receipt as receipts  # noqa: PLC0415  # slow to import

    old, reason = _present(path, target)
    new = receipts.merged(account.earlier, account.entries)
    entries = receipts.merged(old.entries if old else (), new)
    if not entries and not account.obstacles:
        say("no receipt: there is no file to put on it", err=True)
        return None
    if reason:
        beside = next(p for n in count(2) if not (p := path.with_name(f"{path.name}.{n}")).exists())
        say(f"{path} stays as it is: {reason}", err=True)
        path = beside
    created = receipts.stamp(datetime.now(UTC))
    whole = receipts.Receipt(created, source, target, tuple(entries), account.obstacles)
    _write(path, receipts.lines(whole))
    kept = len(entries) - len(new)
    say(f"receipt: {path}" + (f" ({kept:,} of its files from before)" if kept else ""))
    return path


def _present(path: Path, target: str) -> tuple[Receipt | None, str]:
    """Return the receipt that is there, or why it cannot be continued; neither for none."""
    from paperfleet.transfer.receipt import ReceiptError, parse  # noqa: PLC0415

    try:
        with path.open(encoding="utf-8") as lines:
            found = parse(lines)
    except FileNotFoundError:
        return None, ""
    except (OSError, UnicodeDecodeError):
        return None, "it cannot be read as a receipt"
    except ReceiptError as error:
        return None, error.message
    if found.target != target:
        return None, f"it is the receipt of another target, {found.target}"
    return found, ""


def _write(path: Path, lines: Iterable[str]) -> None:
    new = path.with_name(path.name + ".new")
    with open_text(new, "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

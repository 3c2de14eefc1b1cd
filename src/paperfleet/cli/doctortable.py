"""What `paperfleet doctor` has found, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from paperfleet.diagnosis import Verdict
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.doctor.examining import Examined
    from paperfleet.doctor.masking import Mask

_STYLES = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "bold red",
    Verdict.NOT_TRIED: "dim",
    Verdict.UNKNOWN: "bold magenta",
}


def table_of(found: Sequence[Examined], mask: Mask) -> Table:
    """Return a row for each result; what to do stands below what is wrong."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "of", "check"):
        table.add_column(name, no_wrap=True)
    table.add_column("what was found", overflow="fold")
    before = ("", "")
    for area, check, result in found:
        text = Text(readable(mask(result.text)))
        if result.remedy:
            for line in result.remedy.split("\n"):
                text.append(f"\n→ {readable(mask(line))}", style="bold")
        shown = ("", "") if (area, check) == before else (area, check)
        before = (area, check)
        verdict = Text(result.verdict.value, style=_STYLES[result.verdict])
        table.add_row(verdict, *(Text(readable(one)) for one in shown), text)
    return table

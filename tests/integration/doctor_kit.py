"""``paperfleet doctor`` as a user starts it, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paperfleet.cli.doctor import document, exit_code
from paperfleet.doctor.rounds import Doctor

if TYPE_CHECKING:
    from pathlib import Path

DOCTOR = [sys.executable, "-m", "paperfleet", "doctor"]
FOREIGN = ("PAPERFLEET_", "WEBDRIVE_", "PAPERLESS_", "AWS_")


@dataclass
class Said:
    """One run: its exit code, its results by area and check, and all that was printed."""

    code: int
    printed: str
    results: list[dict[str, Any]] = field(default_factory=list)

    def of(self, area: str, check: str) -> list[tuple[str, str]]:
        """Return verdict and text of each result of a check."""
        rows = [row for row in self.results if (row["area"], row["check"]) == (area, check)]
        return [(row["verdict"], row["text"]) for row in rows]

    def verdicts(self, area: str, check: str) -> list[str]:
        return [verdict for verdict, _ in self.of(area, check)]

    def text(self, area: str, check: str) -> str:
        return "\n".join(text for _, text in self.of(area, check))

    def remedy(self, area: str, check: str) -> str:
        return "\n".join(
            row["remedy"] for row in self.results if (row["area"], row["check"]) == (area, check)
        )

    def not_ok(self) -> list[tuple[str, str, str]]:
        """Return what is neither well nor left out by choice."""
        return [
            (row["area"], row["check"], row["verdict"])
            for row in self.results
            if row["verdict"] not in {"ok", "not tried"}
        ]

    def problems(self) -> list[tuple[str, str]]:
        return [(area, check) for area, check, verdict in self.not_ok() if verdict == "problem"]


class Patient:
    """What a user has: a folder of documents, and variables."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.source = base / "source"
        (self.source / "2026").mkdir(parents=True)
        for number in range(5):
            (self.source / "2026" / f"{number}.pdf").write_bytes(b"%PDF" * (number + 1))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        self.environ = kept | {
            "XDG_STATE_HOME": str(base / "state"),
            "HOME": str(base),
            "NO_PROXY": "127.0.0.1,localhost",
            "COLUMNS": "200",
        }

    def run(self, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DOCTOR, *map(str, arguments)],
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=110,
        )

    def asks(self, *arguments: object, **environ: str) -> Said:
        """Run it for programs; what it printed has to be JSON."""
        done = self.run("--json", *arguments, **environ)
        printed = done.stdout + done.stderr
        assert "Traceback" not in printed, printed
        assert done.stdout, printed
        return Said(done.returncode, printed, json.loads(done.stdout)["results"])

    def examined(self, *arguments: object, writes: bool = False) -> Said:
        """Make the checks in this process, for what a fixture has changed of it."""
        source, target = map(str, arguments)
        doctor = Doctor({"source": source, "target": target}, self.environ, writes=writes)
        found = list(doctor.examine())
        results = document(found, doctor.mask, with_names=True)["results"]
        assert isinstance(results, list)
        return Said(exit_code(found), json.dumps(results), results)

"""The how-to of a backend works as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.wide import WIDE

from paperfleet import errors

DOCS = Path(__file__).parents[2] / "docs"


@WIDE
def test_the_backend_of_the_how_to_passes_the_suite(tmp_path: Path) -> None:
    page = (DOCS / "how-to" / "write-a-backend.md").read_text(encoding="utf-8")
    backend, test = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = [line for line in backend.splitlines() if line.strip()]
    assert len(code) < 60, f"{len(code)} lines"
    (tmp_path / "sqlitedocs.py").write_text(backend, encoding="utf-8")
    (tmp_path / "test_sqlitedocs.py").write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sqlitedocs.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert re.search(r"\d{2,} passed", ran.stdout)


def test_the_table_has_every_error_as_it_is() -> None:
    page = (DOCS / "reference" / "storage-errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (yes|no) \|", page, re.MULTILINE)
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.StorageError)
        and kind is not errors.StorageError
    }
    assert {name for name, _, _ in rows} == set(kinds)
    for name, parent, transient in rows:
        assert kinds[name].transient == (transient == "yes"), name
        builtin = {base.__name__ for base in kinds[name].__mro__ if base.__module__ == "builtins"}
        assert not parent or parent in builtin, name

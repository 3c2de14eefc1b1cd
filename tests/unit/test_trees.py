"""The readers of trees that others change meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.trees import paths_below, read_tree


@pytest.mark.parametrize("becomes", ["nothing", "folder", "below a file"])
def test_a_file_that_changes_its_kind_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    victim = tmp_path / "folder" / "a.pdf"
    victim.parent.mkdir()
    victim.write_bytes(b"a")
    (tmp_path / "b.pdf").write_bytes(b"b")
    assert read_tree(tmp_path) == {"folder/a.pdf": b"a", "b.pdf": b"b"}
    is_file = Path.is_file

    def changed_after(path: Path) -> bool:
        answer = is_file(path)
        if path == victim:
            victim.unlink()
            if becomes == "folder":
                victim.mkdir()
            elif becomes == "below a file":
                victim.parent.rmdir()
                victim.parent.write_bytes(b"a file now")
        return answer

    monkeypatch.setattr(Path, "is_file", changed_after)
    assert read_tree(tmp_path) == {"b.pdf": b"b"}


def test_every_file_and_folder_is_listed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.pdf").write_bytes(b"a")
    assert paths_below(tmp_path) == [tmp_path / "folder", tmp_path / "folder" / "a.pdf"]

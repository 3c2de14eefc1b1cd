"""The records of an export, whatever its line breaks and however it is cut into pieces."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperfleet.backup import records as reading
from paperfleet.backup.records import records
from paperfleet.errors import BackupError

VALUES = st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans()))


@given(st.lists(VALUES), st.sampled_from([None, 0, 2]), st.integers(1, 40))
def test_what_was_written_is_read(
    values: list[dict[str, object]], indent: int | None, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_CHUNK", size)
        assert list(records(io.StringIO(json.dumps(values, indent=indent)))) == values


def test_as_paperless_writes_it() -> None:
    assert list(records(io.StringIO('[{\n  "pk": 1\n},\n{\n  "pk": 2\n}\n]'))) == [
        {"pk": 1},
        {"pk": 2},
    ]


@pytest.mark.parametrize("text", ["", "{}", "[", '[{"a": 1}', '[{"a": 1}, {"b"', "[1]", "nonsense"])
def test_what_is_cut_off_or_none_is_an_error(text: str) -> None:
    with pytest.raises(BackupError, match="document_exporter"):
        list(records(io.StringIO(text)))

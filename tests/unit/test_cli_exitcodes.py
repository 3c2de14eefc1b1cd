"""The exit codes stand in one table, and the help and the page say what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from paperfleet.cli.entry import COMMANDS, main
from paperfleet.running.exitcodes import COMMANDS as TABLE
from paperfleet.running.exitcodes import MEANINGS, exit_codes_page


def test_every_command_is_in_the_table() -> None:
    ours = {name for name in TABLE if not name.startswith("manage.py")}
    assert {name.split()[0] for name in ours} == set(COMMANDS)
    folder = Path(__file__, "../../../src/paperfleet/paperless/management/commands").resolve()
    theirs = {f"manage.py {file.stem}" for file in folder.glob("[!_]*.py")}
    assert theirs == TABLE.keys() - ours
    assert {code for rows in TABLE.values() for code in rows} == MEANINGS.keys()


def test_the_reference_page_is_the_table() -> None:
    page = Path(__file__, "../../../docs/reference/exit-codes.md").resolve()
    assert page.read_text() == exit_codes_page(), "run make docs"


@pytest.mark.parametrize("command", [name for name in TABLE if not name.startswith("manage.py")])
def test_the_help_says_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for code, meaning in TABLE[command].items():
        assert f"{code} {meaning}" in text

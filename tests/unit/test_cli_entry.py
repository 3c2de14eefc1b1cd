"""The program as a user starts it: exit codes, help, no traceback, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from paperfleet.cli import main
from paperfleet.cli.entry import COMMANDS
from paperfleet.settings.mirror import table

if TYPE_CHECKING:
    from pathlib import Path

Output = pytest.CaptureFixture[str]
PROGRAM = [sys.executable, "-m", "paperfleet"]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PAPERFLEET_", "WEBDRIVE_", "LC_", "LANG"))
}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=CLEAN | environ, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: Output) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    assert f"paperfleet {command}" in text


def test_the_mirror_has_an_option_for_every_setting_but_the_secrets(capsys: Output) -> None:
    main(["mirror", "--help"])
    text = capsys.readouterr().out
    for setting in table().values():
        assert (setting.flag or setting.key.upper()) in text or setting.secret
    assert "--password " not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("nonsense",),
        ("mirror", "--nonsense"),
        ("mirror", "a", "b", "c"),
        ("mirror", "--password", "x"),
        ("mirror",),
        ("mirror", "/a"),
        ("mirror", "--poll", "never", "/a", "/b"),
        ("mirror", "--config", "/nowhere.toml", "/a", "/b"),
        ("health", "--health-seconds", "0", "/a", "/b"),
    ],
)
def test_a_wrong_command_line_exits_1_and_says_why(
    arguments: tuple[str, ...], capsys: Output, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(arguments) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err
    assert "Traceback" not in found.err


def test_the_program_starts_as_a_module_and_tells_its_version() -> None:
    found = run("--version")
    assert found.returncode == 0
    assert found.stdout.startswith("paperfleet 0.")


def test_a_wrong_setting_of_the_environment_is_no_traceback() -> None:
    found = run("mirror", PAPERFLEET_POLL_SECOND="3")
    assert found.returncode == 1
    assert found.stderr == (
        "paperfleet: no setting has the variable PAPERFLEET_POLL_SECOND\n"
        "  Did you mean PAPERFLEET_POLL_SECONDS?\n"
    )


def test_help_is_there_at_once() -> None:
    """Processor time, which does not depend on what else the machine is doing."""
    seconds = []
    for _ in range(5):
        before = os.times()
        run("--help")
        after = os.times()
        children = after.children_user + after.children_system
        seconds.append(children - before.children_user - before.children_system)
    assert min(seconds) < 0.5, "0.1 s on an idle machine"


def test_names_are_utf8_whatever_the_locale() -> None:
    """`settings` prints what it was given: bytes of a locale that is none would not survive."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = run("settings", "--journal", "/tmp/übersicht", **locale)  # noqa: S108  # never opened
    assert found.returncode == 0
    assert "/tmp/übersicht" in found.stdout  # noqa: S108  # never opened


def test_a_narrow_encoding_is_no_error() -> None:
    found = run("settings", "--username", "山田", PYTHONIOENCODING="latin-1")
    assert found.returncode == 0, found.stderr
    assert r"\u5c71\u7530" in found.stdout


def test_secrets_stay_out_of_settings() -> None:
    target = "https://cloud.example/dav?token=geheim"
    found = run("settings", PAPERFLEET_PASSWORD="geheim", PAPERFLEET_TARGET=target)
    assert found.returncode == 0
    assert "geheim" not in found.stdout + found.stderr
    assert "***" in found.stdout


STOPPING = """
import signal, sys, time
from paperfleet.running.stopping import Stopper, signals_to
stop = []
stopper = Stopper(patience=float(sys.argv[2]))
with signals_to(stopper):
    if sys.argv[1] != "nothing to stop":
        stopper.on_signal((lambda: stop.append(1)) if sys.argv[1] == "stops" else lambda: None)
    print("ready", flush=True)
    while not stop:
        time.sleep(0.05)
print("stopped in order")
"""


def signalled(kind: str, patience: float, *numbers: signal.Signals) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPING, kind, str(patience)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.2)
        text, _ = process.communicate(timeout=30)
    return process.returncode, text


@pytest.mark.parametrize(
    ("kind", "patience", "numbers", "code", "text"),
    [
        ("stops", 60, [signal.SIGTERM], 0, "stopped in order\n"),
        ("stops", 60, [signal.SIGINT], 0, "stopped in order\n"),
        ("nothing to stop", 60, [signal.SIGTERM], 4, ""),
        ("hangs", 60, [signal.SIGINT, signal.SIGINT], 130, ""),
        ("hangs", 60, [signal.SIGTERM, signal.SIGTERM, signal.SIGINT], 130, ""),
        ("hangs", 0.1, [signal.SIGTERM], 4, "stopping, within 0.1 s"),
    ],
)
def test_signals(
    kind: str, patience: float, numbers: list[signal.Signals], code: int, text: str
) -> None:
    found, output = signalled(kind, patience, *numbers)
    assert found == code
    assert text in output

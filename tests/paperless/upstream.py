"""``make test-paperless``: paperless-ngx's own tests without and with the app, then ours.

With arguments, only these files of paperless-ngx's tests are run, and nothing is stored::

    python -m tests.paperless.upstream src/documents/tests/test_consumer.py
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.paperless import checkout, results
from tests.paperless.upstream_compare import (
    Comparison,
    Outcome,
    as_text,
    compare,
    declared_for,
    read_junit,
    resumed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.paperless.checkout import Checkout

SUITE_TIMEOUT = 2 * 3600.0
"""Seconds for one run of paperless-ngx's tests."""
TEST_TIMEOUT = 300
ONLY = "paperless-ngx's tests, all of ours, or those of a fleet"
PLUGIN = "tests.paperless.upstream_plugin"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything; return 0 when all that passed without the app passes with it."""
    given = _parser().parse_args(arguments)
    reason = checkout.missing()
    if reason:
        sys.stderr.write(f"make test-paperless: {reason}\n")
        return 2
    paperless = checkout.checkout()
    good = True
    if given.only in {None, "own"}:
        comparison = own_tests(paperless, given.files, given.without)
        sys.stdout.write(f"paperless-ngx {paperless.label}\n{as_text(comparison)}\n")
        good = comparison.good
        if not given.files:
            results.store_comparison(paperless, comparison)
    if given.only != "own" and not given.files:
        where = results.FLEET if given.only == "fleet" else "tests"
        good = end_to_end(paperless, where, given.resume) and good
    results.write_page()
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make test-paperless", description=__doc__)
    parser.add_argument("files", nargs="*", help="files of paperless-ngx's tests; all without any")
    parser.add_argument("--only", choices=("own", "e2e", "fleet"), help=ONLY)
    parser.add_argument("--without", type=Path, help="a JUnit file of the run without the app")
    parser.add_argument("--resume", type=Path, help="a file that notes which of ours have passed")
    return parser


def own_tests(paperless: Checkout, files: Sequence[str], known: Path | None = None) -> Comparison:
    """Run paperless-ngx's tests without (unless that is known) and with the app; compare."""
    with tempfile.TemporaryDirectory(prefix="paperless-") as temp:
        folder = Path(temp)
        before = read_junit(known or run_suite(paperless, folder / "without", files))
        after = read_junit(run_suite(paperless, folder / "with", files, with_app=True))
        declared = declared_for(paperless.label)
        different = [*compare(before, after, declared).regressions]
        if different:
            # Some of upstream's tests depend on time and order: each gets a second try by itself.
            after |= _second_try(paperless, folder / "again", different)
        return compare(before, after, declared)


def _second_try(paperless: Checkout, folder: Path, tests: list[str]) -> dict[str, Outcome]:
    found = read_junit(run_suite(paperless, folder, tests, with_app=True, workers=0))
    return {name: outcome for name, outcome in found.items() if name in tests}


def run_suite(
    paperless: Checkout,
    folder: Path,
    tests: Sequence[str],
    *,
    with_app: bool = False,
    workers: int = 2,
) -> Path:
    """Run tests of paperless-ngx in its own way; return the JUnit file.

    Failures of tests are in the file. Raises ``RuntimeError`` when there is none.
    """
    junit = folder / "junit.xml"
    for name in ("data", "media", "scratch"):
        (folder / name).mkdir(parents=True)
    home = paperless.src.parent
    chosen = tests or sorted(
        str(path.relative_to(home)) for path in paperless.src.glob("*/tests") if path.is_dir()
    )
    command = [
        *(str(paperless.python), "-m", "pytest", "-q", "--tb=short", "-o", "addopts="),
        *("-o", "junit_family=xunit1", f"--junitxml={junit}"),
        *("-n", str(workers), "--dist", "loadscope", "-p", "no:cacheprovider"),
        *(["-p", PLUGIN] if with_app else []),
        *_options(paperless),
        *chosen,
    ]
    sys.stdout.write(f"paperless-ngx's tests {'with' if with_app else 'without'} the app\n")
    sys.stdout.flush()
    agents = _gpg_agents()
    answer = subprocess.run(
        command,
        cwd=home,
        env=_environ(paperless, folder, with_app=with_app),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SUITE_TIMEOUT,
    )
    _end(_gpg_agents() - agents)
    sys.stdout.write(f"{answer.stdout.strip().rpartition(chr(10))[2]}\n")
    if not junit.is_file():
        raise RuntimeError(f"{' '.join(command)} made no result\n{answer.stdout[-4000:]}")
    return junit


def _gpg_agents() -> set[int]:
    """Return the agents of GnuPG that run: tests of mails leave some, each with an inotify."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if status.read_text().strip() == "gpg-agent":
                found.add(int(status.parent.name))
    return found


def _end(processes: set[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _environ(paperless: Checkout, folder: Path, *, with_app: bool) -> dict[str, str]:
    environ = paperless.environ | {
        "PAPERLESS_DATA_DIR": str(folder / "data"),
        "PAPERLESS_MEDIA_ROOT": str(folder / "media"),
        "PAPERLESS_SCRATCH_DIR": str(folder / "scratch"),
        "PAPERLESS_SECRET_KEY": "of a test",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if with_app:
        environ["PAPERLESS_APPS"] = "paperfleet.paperless"
        environ["PAPERLESS_DOCUMENT_STORAGE_BACKEND"] = "memory:"
        environ["PYTHONPATH"] += f"{os.pathsep}{checkout.ROOT}"  # for the plug-in
    return environ


def _options(paperless: Checkout) -> list[str]:
    """Use the plug-ins that are there: a time limit, and lines that are not redrawn."""
    options = {"pytest_timeout": [f"--timeout={TEST_TIMEOUT}"], "pytest_sugar": ["-p", "no:sugar"]}
    probe = f"from importlib.util import find_spec; print(*filter(find_spec, {[*options]}))"
    found = subprocess.run(
        [paperless.python, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    return [word for name in found for word in options[name]]


def end_to_end(paperless: Checkout, where: str = "tests", resume: Path | None = None) -> bool:
    """Run our own tests on a whole installation; store and return whether they pass.

    What ``resume`` notes as passed is not run again; it goes on where a run was ended.
    """
    environ = os.environ | ({checkout.RESUME: str(resume.absolute())} if resume else {})
    with tempfile.TemporaryDirectory(prefix="paperless-") as temp:
        junit = Path(temp) / "junit.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-m", "paperless", str(checkout.ROOT / where)),
            *("-o", "junit_family=xunit1", f"--junitxml={junit}"),
            # They mostly wait; each file has an installation of its own.
            *("-n", "2", "--dist", "loadfile"),
        ]
        code = subprocess.run(
            command, cwd=checkout.ROOT, env=environ, timeout=SUITE_TIMEOUT
        ).returncode
        if junit.is_file():
            results.store_end_to_end(paperless, resumed(read_junit(junit)))
        return code == 0


if __name__ == "__main__":
    if shutil.which("tesseract") is None:
        sys.stderr.write("tesseract is missing: tests of paperless-ngx that need it will fail\n")
    raise SystemExit(main())

"""Running programs of paperless-ngx with its own Python."""

from __future__ import annotations

import math
import re
import subprocess
import time
from typing import TYPE_CHECKING, TypeVar

from paperfleet.errors import ConfigurationError, NotReadyError
from paperfleet.settings.fleet import STARTING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paperfleet.fleet.site import Site

_T = TypeVar("_T")
_SHOWN = 2000
_STDERR = 2
_ENDING_SECONDS = 30.0
_ASKING_SECONDS = 60.0
_TOLD_EVERY = 30.0
"""Seconds after which a command that still runs is told of, as nothing else would be."""


def resolved(site: Site, command: Sequence[str]) -> list[str]:
    """Return a command of the table as it is run: programs are modules of paperless-ngx's Python.

    So it does not matter what is on the PATH.
    """
    program, *arguments = command
    start = [site.python] if program == "python3" else [site.python, "-m", program]
    return [*start, *arguments]


def run_to_end(
    site: Site,
    command: Sequence[str],
    *,
    role: str = "",
    stop: list[subprocess.Popen[bytes]],
    say: Callable[[str], object],
    aside: bool = False,
) -> None:
    """Run a command of the table and show what it prints; raise ``NotReadyError`` when it fails.

    ``aside`` shows that on stderr, where our own answer may be JSON. The command is told for which
    role, if it is for one. ``say`` is told now and then of one that takes long.

    While it runs it is in ``stop``: whoever ends it makes this raise. An exception in here, such as
    that of a signal handler, ends it too.
    """
    command_line, environ = resolved(site, command), _environ(site, role)
    with subprocess.Popen(  # noqa: S603  # the table's
        command_line, cwd=site.src, env=environ, stdout=_STDERR if aside else None
    ) as program:
        stop.append(program)
        try:
            code = _told(program.wait, command, say)
        except BaseException:
            program.terminate()
            try:
                program.wait(_ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
            raise
        finally:
            stop.remove(program)
    if code:
        raise NotReadyError(
            f"`{' '.join(command)}` ended with {code}", hint="What it printed above says why"
        )


def _environ(site: Site, role: str) -> dict[str, str]:
    return {**site.environ, STARTING: role} if role else dict(site.environ)


def _told(
    wait: Callable[[float], _T],
    command: Sequence[str],
    say: Callable[[str], object] | None,
    seconds: float = math.inf,
) -> _T:
    """Wait by ``wait``, and tell of it now and then.

    Raises ``subprocess.TimeoutExpired`` after ``seconds``.
    """
    began = time.monotonic()
    while True:
        try:
            return wait(min(_TOLD_EVERY, max(0.0, began + seconds - time.monotonic())))
        except subprocess.TimeoutExpired:
            past = time.monotonic() - began
            if past >= seconds:
                raise
            if say:
                say(f"`{' '.join(command)}` has run for {past:.0f} s, and is waited for")


def asked(
    site: Site,
    command: Sequence[str],
    seconds: float,
    *,
    say: Callable[[str], object] | None = None,
    role: str = "",
    most: int = _SHOWN,
) -> tuple[int, str]:
    """Run a command of the table quietly; return its code and the end of what it printed.

    It is told for which role, if it is for one. ``say``, if any, is told now and then of one
    that takes long. ``most`` is a number of characters.
    """
    with subprocess.Popen(  # noqa: S603  # the table's
        resolved(site, command),
        cwd=site.src,
        env=_environ(site, role),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as program:
        try:
            printed, _ = _told(
                lambda patience: program.communicate(timeout=patience), command, say, seconds
            )
        except subprocess.TimeoutExpired:
            return 1, f"no answer within {seconds:g} s"
        finally:
            program.kill()
    return program.returncode, printed.decode(errors="replace")[-most:].strip()


def version_of(site: Site, package: str) -> tuple[int, ...]:
    """Return the first numbers of a package's version in the Python of paperless-ngx."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    ended, text = asked(site, ["python3", "-c", code], _ASKING_SECONDS)
    numbers = re.match(r"(\d+)\.(\d+)", text)
    if ended or not numbers:
        raise ConfigurationError(
            f"the Python {site.python} has no {package}",
            hint="Name the Python that can run paperless-ngx in PAPERLESS_PYTHON",
        )
    return tuple(int(number) for number in numbers.groups())

"""What can be looked at of a paperless-ngx: its settings, servers, programs, and what it checks."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.diagnosis import Check, CheckResult, not_tried, ok, problem, unknown, warning
from paperfleet.errors import ConfigurationError
from paperfleet.fleet import languages
from paperfleet.fleet.launcher import APP, require_paperless
from paperfleet.fleet.processors import limit
from paperfleet.fleet.programs import asked
from paperfleet.fleet.roles import CHECK
from paperfleet.fleet.site import FOLDERS, THREADS, may_write, site_of
from paperfleet.fleet.waits import REFUSAL, database_fault, redis_fault, refuse_database
from paperfleet.running.rolelease import has_postgres
from paperfleet.settings.fleet import CHECK_TAG, LOOKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from paperfleet.fleet.site import Site

SETTINGS, PROGRAM, DATABASE, REDIS = "settings", "program", "database", "Redis"
LANGUAGES, THREADS_OF_OCR, FOLDERS_OF_IT = "OCR languages", "threads", "folders"
OUR_APP, OWN_CHECK = "app", "manage.py check"
_WORKERS = "PAPERLESS_TASK_WORKERS"
_CHECK_SECONDS = 180.0
_SHOWN = 20_000
_MESSAGE = re.compile(r"^\S*: \((?P<id>[\w.]+)\) (?P<text>.*)$")
_PLAIN = re.compile(r"^\?: (?P<text>.*)$")
_LEVEL = re.compile(r"^(CRITICALS|ERRORS|WARNINGS|INFOS|DEBUGS):$")
_HINT = "HINT: "
_END = re.compile(r"^System check identified ")


class SystemMessage(NamedTuple):
    """One message of ``manage.py check``: of which level, what it says, what to do."""

    level: str
    text: str
    hint: str = ""


class PaperlessChecks:
    """The checks of one installation, as a role on this host would run it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._site: Site | None = None

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        asks = (PROGRAM, DATABASE, REDIS)
        return [
            Check(SETTINGS, self.settings),
            Check(PROGRAM, self.program, (SETTINGS,)),
            Check(DATABASE, self.database, (SETTINGS,)),
            Check(REDIS, self.redis, (SETTINGS,)),
            Check(LANGUAGES, self.languages, (SETTINGS,), 40),
            Check(THREADS_OF_OCR, self.threads, (SETTINGS,)),
            Check(FOLDERS_OF_IT, self.folders, (SETTINGS,)),
            Check(OUR_APP, self.app, asks, _CHECK_SECONDS + 10),
            Check(OWN_CHECK, self.check, (*asks, FOLDERS_OF_IT), _CHECK_SECONDS + 10, writes=True),
        ]

    def settings(self) -> Iterator[CheckResult]:
        """Read the variables, and the secrets that lie in files."""
        site = site_of(self._environ)
        self._site = replace(site, environ={**site.environ, LOOKING: "1"})
        refuse_database(site.environ)
        if not site.environ.get("PAPERLESS_SECRET_KEY"):
            yield warning(
                "PAPERLESS_SECRET_KEY is not set: hosts with different keys cannot read each"
                " other's tasks",
                "Set it, to the same text on all hosts",
            )
        yield ok("they can be read")

    @property
    def site(self) -> Site:
        """The installation; known after ``SETTINGS``."""
        if self._site is None:
            raise ConfigurationError("the settings of paperless-ngx cannot be read")
        return self._site

    def program(self) -> Iterator[CheckResult]:
        """See whether paperless-ngx itself is here."""
        require_paperless(self.site)
        yield ok(f"it is in {self.site.src}")

    def database(self) -> Iterator[CheckResult]:
        """See whether the database takes connections, as the roles do; asks without a password."""
        if not has_postgres(self.site.environ):
            yield ok("it is a file (SQLite), or of a kind that is not asked here")
        elif reason := database_fault(self.site.environ):
            yield problem(
                f"PostgreSQL does not answer: {reason}",
                "Start it, or mend PAPERLESS_DBHOST and PAPERLESS_DBPORT",
            )
        else:
            yield ok("PostgreSQL takes connections")

    def redis(self) -> Iterator[CheckResult]:
        """See whether Redis answers, and takes the password."""
        if reason := redis_fault(self.site.environ):
            yield problem(f"Redis does not answer: {reason}", "Start it, or mend PAPERLESS_REDIS")
        else:
            yield ok("it answers")

    def languages(self) -> Iterator[CheckResult]:
        """See whether Tesseract has the languages that are asked for."""
        wanted = self.site.environ.get(languages.VARIABLE, "")
        if not wanted.split():
            yield not_tried(
                f"{languages.VARIABLE} asks for none; those of PAPERLESS_OCR_LANGUAGE"
                f" are looked at by {OWN_CHECK}"
            )
            return
        languages.require_languages(self.site.environ)
        yield ok(f"{wanted}: installed")

    def threads(self) -> Iterator[CheckResult]:
        """Compare the threads of OCR with the processors that this host or container has."""
        environ, cores = self.site.environ, limit()
        available = cores if cores is not None else float(os.cpu_count() or 1)
        told = f"{available:g} processors" + (" (a limit of cgroup)" if cores is not None else "")
        texts = (environ.get(_WORKERS) or "1", environ.get(THREADS) or "")
        if not texts[1]:
            yield ok(f"{told}; paperless-ngx chooses the threads")
            return
        if not all(text.isdigit() and int(text) for text in texts):
            yield problem(f"{_WORKERS} or {THREADS} is no number above 0", "Set a whole number")
            return
        workers, threads = map(int, texts)
        chosen = " (chosen here)" if THREADS in self.site.chosen else ""
        text = f"{workers} workers of {threads} threads{chosen}, and {told}"
        if workers * threads > max(1.0, available):
            yield warning(
                f"{text}: OCR is slower so, and a task may be killed for want of memory",
                f"Lower {THREADS} or {_WORKERS}; without {THREADS} it is chosen",
            )
        else:
            yield ok(text)

    def folders(self) -> Iterator[CheckResult]:
        """See whether the folders are there, or can be made, and can be written."""
        denied = [one.variable for one in FOLDERS if not may_write(self.site.folder(one))]
        if denied:
            yield problem(
                f"user {os.geteuid()} may not write into those of {', '.join(denied)}",
                "Mount folders there that this user may write",
            )
        else:
            yield ok(f"user {os.geteuid()} may write all {len(FOLDERS)}")

    def app(self) -> Iterator[CheckResult]:
        """Let our app look: version, seams, storage, what a fleet agrees on, connections.

        It writes nothing down (``LOOKING``).
        """
        if APP not in self.site.environ.get("PAPERLESS_APPS", "").split(","):
            yield not_tried(f"PAPERLESS_APPS does not load {APP}")
            return
        yield from self._asked((*CHECK, "--tag", CHECK_TAG), "version, seams, storage and fleet")

    def check(self) -> Iterator[CheckResult]:
        """Let paperless-ngx check itself, which writes a file into each of its folders."""
        yield from self._asked(CHECK, "settings, programs and OCR languages")

    def _asked(self, command: Sequence[str], what: str) -> Iterator[CheckResult]:
        code, text = asked(self.site, command, _CHECK_SECONDS, most=_SHOWN)
        found = messages_in(text)
        yield from map(_result, found)
        if code and REFUSAL in text:
            said, _, hint = text.rpartition(REFUSAL)[2].partition("\n")
            yield problem(said, hint.strip())
        elif code and not any(one.level in {"ERRORS", "CRITICALS"} for one in found):
            last = text.splitlines()[-1] if text else "it printed nothing"
            shown = " ".join(command[1:])
            yield unknown(f"`{shown}` ended with {code}: {last}", "Run it by hand to see the rest")
        elif not found:
            yield ok(f"{what}: nothing is wrong")


def messages_in(text: str) -> list[SystemMessage]:
    """Return the messages in what ``manage.py check`` has printed (Django: "System check")."""
    found: list[SystemMessage] = []
    level = ""
    for line in text.splitlines():
        if heading := _LEVEL.match(line):
            level = heading[1]
        elif _END.match(line):
            level = ""
        elif level and (start := _MESSAGE.match(line) or _PLAIN.match(line)):
            found.append(SystemMessage(level, start["text"]))
        elif level and found and line.strip():
            last, more = found[-1], line.strip()
            if more.startswith(_HINT):
                found[-1] = last._replace(hint=more.removeprefix(_HINT))
            elif last.hint:
                found[-1] = last._replace(hint=f"{last.hint} {more}")
            else:
                found[-1] = last._replace(text=f"{last.text} {more}")
    return found


def _result(message: SystemMessage) -> CheckResult:
    made = problem if message.level in {"ERRORS", "CRITICALS"} else warning
    return made(message.text, message.hint)


def is_here(environ: Mapping[str, str]) -> bool:
    """Say whether variables of a paperless-ngx are set."""
    return any(name in environ for name in _OF_AN_INSTALLATION)


_OF_AN_INSTALLATION = (
    "PAPERLESS_SRC",
    "PAPERLESS_SECRET_KEY",
    "PAPERLESS_SECRET_KEY_FILE",
    "PAPERLESS_REDIS",
    "PAPERLESS_REDIS_FILE",
    "PAPERLESS_DBHOST",
    "PAPERLESS_APPS",
    "PAPERLESS_DATA_DIR",
)
"""What an installation sets; a Service in Kubernetes or a mirror may set others."""

"""A project of Docker Compose: the files of ``deploy/compose``, in a folder of their own."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.engine import EngineError
from tests.deploy.engine.wheels import ROOT
from tests.paperless.papers import scan
from tests.paperless.rest import PASSWORD, Rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deploy.engine.images import Images

_Seen = TypeVar("_Seen")
COMPOSE = ROOT / "deploy" / "compose"
HOW_TO = ROOT / "docs" / "how-to" / "compose.md"
UP_TIMEOUT, WORK_TIMEOUT = 900.0, 600.0
_ENVIRONMENT = {
    # What this stand-in of the image cannot do, or does faster so.
    "PAPERLESS_OCR_OUTPUT_TYPE": "pdf",
    "PAPERLESS_ENABLE_NLTK": "false",
    "PAPERFLEET_TASK_SILENCE_SECONDS": "15",
    "PAPERLESS_TASK_WORKERS": "1",
    "PAPERLESS_TOKEN_THROTTLE_RATE": "1000/min",
    "PAPERLESS_THREADS_PER_WORKER": "1",
}
_SMALL_PROJECT = {
    # It has no defaults for these; they are those of paperless-ngx.
    "PAPERLESS_DBPORT": "5432",
    "PAPERLESS_DBNAME": "paperless",
    "PAPERLESS_DBUSER": "paperless",
    "PAPERLESS_DATA_DIR": "/usr/src/paperless/data",
    "PAPERLESS_MEDIA_ROOT": "/usr/src/paperless/media",
    "PAPERLESS_CONSUMPTION_DIR": "/usr/src/paperless/consume",
}
_GIVE = """
from pathlib import Path
from django.conf import settings
from paperless.celery import app
app.set_default()
from documents.data_models import ConsumableDocument
from documents.tasks import consume_file
for name in {names!r}:
    path = Path(settings.SCRATCH_DIR, name + ".pdf")
    path.write_bytes(f"hold {seconds} {{name}}".encode())
    consume_file.apply_async(kwargs={{"input_doc": ConsumableDocument(path)}})
"""
_COUNT = "from documents.models import Document; print('documents:', Document.objects.count())"


def blocks() -> list[str]:
    """Return the commands of the how-to, block by block."""
    return re.findall(r"```sh\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)


def install_compose(images: Images) -> None:
    """Let the client find ``docker compose``; raise ``UnavailableError`` without it."""
    program = Path(sys.executable).with_name("docker-compose")
    if not program.is_file():
        raise UnavailableError("docker compose is missing: make test-compose installs it")
    plugin = Path(images.engine.environ["DOCKER_CONFIG"]) / "cli-plugins" / "docker-compose"
    plugin.parent.mkdir(parents=True, exist_ok=True)
    if not plugin.exists():
        plugin.symlink_to(program)


class Project:
    """What a Compose file describes, under the engine of the images.

    ``file`` is one of ``deploy/compose``, or some as ``a.yaml --file b.yaml``.
    """

    def __init__(self, images: Images, file: str, folder: Path) -> None:
        self.images, self.file = images, file
        self.top, self.folder = folder, folder / "deploy" / "compose"
        shutil.copytree(COMPOSE, self.folder)
        self.shell(next(block for block in blocks() if "secrets/" in block), folder)
        (self.folder / "secrets" / "admin-password").write_text(PASSWORD)
        lines = [f"{name}={value}\n" for name, value in self.settings.items()]
        (self.folder / "paperless.env").write_text("".join(lines))

    @property
    def settings(self) -> dict[str, str]:
        """What the containers are told for the sake of the stand-ins."""
        return _ENVIRONMENT if self.images.material.is_real else _ENVIRONMENT | _SMALL_PROJECT

    def documented(self, part: str) -> str:
        """Run the block of the how-to that has this part, for this file."""
        found = next(block for block in blocks() if part in block)
        return self.shell(found.replace("fleet.yaml", self.file), self.folder)

    def shell(self, commands: str, folder: Path) -> str:
        """Run commands as a person would; raise ``EngineError`` when one fails."""
        commands = commands.replace("sudo ", "")  # this is root
        try:
            done = self.images.engine.run("sh", "-ec", commands, timeout=UP_TIMEOUT, cwd=folder)
        except subprocess.TimeoutExpired:
            told = f"took longer than {UP_TIMEOUT:g} s\n{self.logs()}"
            raise EngineError(f"{commands} {told}") from None
        if done.returncode:
            told = f"{done.stderr[-3000:]}\n{self.logs()}"
            raise EngineError(f"{commands}ended with {done.returncode}\n{told}")
        return done.stdout

    def compose(self, *words: str) -> str:
        """Run ``docker compose`` with this file."""
        return self.shell(f"docker compose --file {self.file} " + " ".join(words), self.folder)

    def described(self) -> dict[str, Any]:
        """Return the services, but for those of a profile, as Compose understands them."""
        described: dict[str, Any] = json.loads(self.compose("config --format json"))["services"]
        return described

    def end(self) -> None:
        """Remove its containers, networks and volumes."""
        if "rest" in self.__dict__:
            self.rest.close()
        self.compose("down --volumes --timeout 10")

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """Return what the engine knows of each container of a service, or of all."""
        names = self.compose("ps --all --quiet", service).split()
        return [self.images.engine.inspect(name) for name in names]

    def logs(self) -> str:
        """Return the ends of what the containers printed."""
        words = ("docker", "compose", "--file", *self.file.split(), "logs", "--tail", "25")
        done = self.images.engine.run(*words, timeout=60, cwd=self.folder)
        return done.stdout[-12000:]

    def until(self, look: Callable[[], _Seen], what: str, timeout: float = WORK_TIMEOUT) -> _Seen:
        """Return what ``look`` sees once that is true; raise ``EngineError`` after a time."""
        deadline = time.monotonic() + timeout
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise EngineError(f"{what} took longer than {timeout:g} s\n{self.logs()}")
            time.sleep(1)
        return seen

    # Workers

    def busy(self) -> list[str]:
        """Return the containers of workers that have begun with a document and not ended it."""
        found = []
        for one in self.containers("worker"):
            done = self.images.engine.run("docker", "logs", one["Id"], timeout=60)
            lines = [
                line for line in (done.stdout + done.stderr).splitlines() if "consume_file[" in line
            ]
            if one["State"]["Running"] and lines and lines[-1].endswith("received"):
                found.append(one["Id"])
        return found

    def exit_codes(self, service: str, since: float) -> list[int]:
        """Return with what containers of a service have ended, also those that are gone."""
        words = ["events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}"]
        words += ["--filter", "event=die", "--format", "{{.Actor.Attributes.exitCode}}"]
        words += ["--filter", f"label=com.docker.compose.service={service}"]
        return [int(code) for code in self.images.engine.docker(*words).split()]

    # Documents

    def give(self, *names: str, seconds: int = 4) -> None:
        """Hand it documents whose work takes seconds each; raise when one is not accepted.

        How long it takes is up to a real paperless-ngx.
        """
        if self.images.material.is_real:
            for name in names:
                self.rest.post_document(f"{name}.png", scan())
        else:
            self._manage_shell(_GIVE.format(names=names, seconds=seconds))

    def count(self) -> int:
        """Return how many documents there are."""
        if self.images.material.is_real:
            return len(self.rest.documents())
        return int(self._manage_shell(_COUNT).rpartition("documents: ")[2])

    @functools.cached_property
    def rest(self) -> Rest:
        """A client of the real paperless-ngx that has logged in."""
        return Rest("http://127.0.0.1:8000", self.images.version)

    def wait_for(self, number: int) -> None:
        """Return once there are so many documents; more are an error."""
        self.until(lambda: self.count() >= number, f"document {number}")
        assert self.count() == number

    def _manage_shell(self, program: str) -> str:
        (container,) = self.containers("web")
        words = ("exec", container["Id"], "paperfleet", "manage", "shell", "-c", program)
        # A store that is away is asked for a minute, at the start and when the document comes.
        return self.images.engine.docker(*words, timeout=WORK_TIMEOUT)


def health(container: dict[str, Any]) -> str:
    """Return how a container is: healthy and the like, or its exit code when it has ended."""
    state = container["State"]
    return str(state["ExitCode"]) if state["Status"] == "exited" else str(state["Health"]["Status"])

"""``paperfleet run ROLE``: do what the role's start needs, then become its program.

There is no supervisor: the process is replaced (execve(2)), so that signals reach the program
itself, and Celery's main process is the first of its container.
"""

from __future__ import annotations

import os
import shlex
import signal
from typing import TYPE_CHECKING, Final, NoReturn

from paperfleet.errors import ConfigurationError, LeaseTimeoutError, NotReadyError
from paperfleet.fleet.languages import require_languages
from paperfleet.fleet.programs import resolved, run_to_end
from paperfleet.fleet.roles import INDEX, SUPERUSER, SUPERUSER_VARIABLE, role_of
from paperfleet.fleet.site import DATA, make_folders, site_of
from paperfleet.fleet.waits import refuse_database, wait_for
from paperfleet.locks.registry import open_lease_store
from paperfleet.running import rolestate, searchstate
from paperfleet.running.exitcodes import FINE
from paperfleet.running.leased import stand_by
from paperfleet.running.rolelease import launched_text, lease_of
from paperfleet.running.stopping import Stopper, signals_to
from paperfleet.settings.fleet import LAUNCHED

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from paperfleet.errors import LeaseLostError
    from paperfleet.fleet.roles import Role
    from paperfleet.fleet.site import Site

APP: Final = "paperfleet.paperless"
_INDEX_VERSION: Final = "9"
"""What paperless-ngx 2's ``init-search-index/run`` notes in ``.index_version``."""


def run(name: str, environ: Mapping[str, str], say: Callable[[str], object]) -> int:
    """Become the program of a role; return only for a role that ends by itself, or is not wanted.

    ``say`` is told what is waited for. A signal while it waits raises ``SystemExit`` with 0. Raises
    ``ConfigurationError`` for settings that cannot be, ``NotReadyError`` for what was not there in
    time or failed.
    """
    role = role_of(name, environ)
    site = site_of(environ, fills=role.of_paperless)
    require_possible(role, site)
    if name == "consumer" and site.environ.get("PAPERLESS_CONSUMER_DISABLE"):
        say("PAPERLESS_CONSUMER_DISABLE is set: there is nothing to do")
        return FINE
    stopper = Stopper()
    stopper.code = FINE  # waiting has no other end that is asked for
    with signals_to(stopper):
        _make_ready(role, site, say)
        if not role.command:
            _migrate(role, site, say)
            return FINE
        if role.leads:
            _wait_for_turn(role, site, say)
        _tell(role, site, rolestate.STARTING)
        _keep_signals(role)
    return _become(role, site)


def shown(name: str, environ: Mapping[str, str]) -> list[str]:
    """Return as lines what ``run`` would do; does nothing of it, and shows no secret."""
    role = role_of(name, environ)
    site = site_of(environ, fills=role.of_paperless)
    require_possible(role, site)
    variables = {**site.chosen, **role.variables(site)}
    steps = [shlex.join(resolved(site, command)) for command in _before(role, site)]
    lines = [f"role:      {role.name}, which {role.does}"]
    lines += [f"folder:    {site.src}"] * role.of_paperless
    lines += [f"sets:      {key}={value}" for key, value in sorted(variables.items())]
    lines += [f"waits for: {need}" for need in role.needs]
    lines += [f"before:    {step}" for step in steps]
    if role.leads:
        lease = lease_of(role.name, site.environ)
        with open_lease_store(lease.address) as store:
            lines.append(f"lease:     {lease.name!r} on {store.label}, {lease.seconds:g} s")
    if role.command:
        lines.append(f"becomes:   {shlex.join(_command(role, site))}")
    return lines


def manage(words: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become a command of ``manage.py``, with the environment that a role here has.

    Raises ``ConfigurationError`` for settings that cannot be.
    """
    site = site_of(environ)
    require_paperless(site)
    make_folders(site)
    os.chdir(site.src)
    _execute([site.python, "manage.py", *words], site.environ)


def require_possible(role: Role, site: Site) -> None:
    """Raise ``ConfigurationError`` for what cannot become right by waiting."""
    if not role.of_paperless:
        return
    refuse_database(site.environ)
    require_paperless(site)
    apps = site.environ.get("PAPERLESS_APPS", "").split(",")
    if role.app and APP not in apps:
        raise ConfigurationError(
            f"PAPERLESS_APPS does not load the app {APP}, which keeps the roles of a fleet apart",
            hint=f"Set PAPERLESS_APPS={APP} for every process of paperless-ngx",
        )
    if role.name == "worker":
        require_languages(site.environ)


def require_paperless(site: Site) -> None:
    """Raise ``ConfigurationError`` where there is no paperless-ngx."""
    if not (site.src / "manage.py").is_file():
        raise ConfigurationError(
            f"there is no paperless-ngx in {site.src}",
            hint="Name its checkout in PAPERLESS_SRC, or use its image",
        )


def _make_ready(role: Role, site: Site, say: Callable[[str], object]) -> None:
    if role.of_paperless:
        make_folders(site)
    _tell(role, site, rolestate.STARTING)
    for need in role.needs:
        wait_for(need, role.name, site, say)
    if not role.command:
        return  # its commands are for the one that has the lease
    for command in _before(role, site):
        run_to_end(site, command, role=role.name, stop=[], say=say)
    if _makes_index(role, site) and not _knows_if_needed(site):
        _index_version(site).write_text(f"{_INDEX_VERSION}\n")


def _before(role: Role, site: Site) -> list[tuple[str, ...]]:
    """Return the commands that come first, as this version of paperless-ngx has them."""
    commands = [one for one in role.before if one != INDEX or _makes_index(role, site)]
    if INDEX in commands and not _knows_if_needed(site):
        commands.remove(INDEX)
        noted = _index_version(site)
        if not noted.is_file() or noted.read_text().strip() != _INDEX_VERSION:
            commands.append(tuple(word for word in INDEX if word != "--if-needed"))
    if not role.command and site.environ.get(SUPERUSER_VARIABLE):
        commands.append(SUPERUSER)
    return commands


def _makes_index(role: Role, site: Site) -> bool:
    """Say whether the search index is made before the program: in a fleet it makes its own."""
    return INDEX in role.before and not searchstate.is_followed(site.environ)


def _index_version(site: Site) -> Path:
    return site.folder(DATA) / ".index_version"


def _knows_if_needed(site: Site) -> bool:
    command = site.src / "documents" / "management" / "commands" / "document_index.py"
    return command.is_file() and "--if-needed" in command.read_text(encoding="utf-8")


def _migrate(role: Role, site: Site, say: Callable[[str], object]) -> None:
    """Run the commands of the role under its lease; what runs is ended when the lease is lost."""
    lease = lease_of(role.name, site.environ)
    running: list[subprocess.Popen[bytes]] = []
    lost: list[str] = []

    def end(error: LeaseLostError) -> None:
        lost.append(error.message)
        for program in tuple(running):
            program.terminate()

    with open_lease_store(lease.address) as store:
        longest = site.settings.schema_wait_seconds
        say(f"waiting up to {longest} s for the lease of migrate, if another one works")
        try:
            held = store.acquire(lease.name, ttl=lease.seconds, timeout=longest, on_lost=end)
        except LeaseTimeoutError as error:
            raise NotReadyError(
                f"another migrate is at work: {error.message}",
                hint="See what it does; to wait longer, raise PAPERFLEET_SCHEMA_WAIT_SECONDS",
            ) from None
        with held:
            for command in _before(role, site):
                try:
                    held.check()
                    run_to_end(site, command, role=role.name, stop=running, say=say)
                except NotReadyError:
                    if lost:
                        raise NotReadyError(f"migrate was ended: {lost[0]}") from None
                    raise


def _wait_for_turn(role: Role, site: Site, say: Callable[[str], object]) -> None:
    """Stand by until nobody holds the role's lease.

    Only the program's own lease counts: it takes it when it starts, and comes back to stand by if
    another one was faster. A second lease, of whoever is next, lets one launcher at a time try. It
    is not given back: it runs out while the program starts.
    """
    lease = lease_of(role.name, site.environ)
    store = open_lease_store(lease.address)

    def wait(name: str) -> None:
        def on_wait(text: str) -> None:
            _tell(role, site, rolestate.STANDING_BY)
            say(text)

        held = stand_by(store, name, ttl=lease.seconds, on_wait=on_wait, stopped=lambda: False)
        if name == lease.name and held is not None:
            held.release()

    wait(f"{lease.name} next")
    wait(lease.name)


def _tell(role: Role, site: Site, state: str) -> None:
    file = site.state_file(role.name)
    try:
        rolestate.tell(file, state)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written, and no probe would know of this process: {error.strerror}",
            hint="Mount a folder that can be written at PAPERLESS_SCRATCH_DIR",
        ) from None


def _command(role: Role, site: Site) -> list[str]:
    return resolved(site, [*role.command, *role.more(site)])


def _become(role: Role, site: Site) -> NoReturn:
    command = _command(role, site)
    if role.name == "scheduler":
        _forget_ticks(site)
    environ = {
        **site.environ,
        **role.variables(site),
        # Absolute, as another folder is the current one when it comes back here.
        "PAPERLESS_SRC": str(site.src),
        "PAPERLESS_PYTHON": site.python,
        LAUNCHED: launched_text(role.name, site.state_file(role.name)),
    }
    if role.of_paperless:
        os.chdir(site.src)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _execute(command, environ)


def _execute(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    try:
        os.execve(command[0], command, dict(environ))  # noqa: S606  # the table's
    except OSError as error:
        raise ConfigurationError(
            f"{command[0]} cannot be run: {error.strerror}",
            hint="Name the Python that can run paperless-ngx in PAPERLESS_PYTHON",
        ) from None


def _keep_signals(role: Role) -> None:
    """Let SIGTERM wait until the program hears it, where our app is in the program's own process.

    Until a program has a handler, the kernel passes the signal over for the first process of a
    container (pid_namespaces(7)). One that is blocked waits, also through execve(2), and the app
    lets it in (``paperless.role.hear``).
    """
    if role.ready == "told":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _forget_ticks(site: Site) -> None:
    """Let the scheduler begin afresh.

    Its file says when this host last started each task. Another host may have done so since, and
    with the old times each would be started once more.
    """
    folder = site.state_file("scheduler").parent
    for left in folder.glob("beat*"):
        left.unlink(missing_ok=True)

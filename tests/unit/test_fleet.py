"""What the launcher of a fleet's roles reads, chooses and refuses, before anything runs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.servers.base import HOST

from paperfleet.cli import main
from paperfleet.errors import ConfigurationError, NotReadyError
from paperfleet.fleet import launcher, probes, programs, site, waits
from paperfleet.fleet.languages import require_languages
from paperfleet.fleet.processors import limit
from paperfleet.fleet.roles import ROLES, role_of, web_address
from paperfleet.fleet.site import Site, make_folders, site_of, with_secrets
from paperfleet.fleet.waits import redis_fault, wait_until
from paperfleet.running import rolelease, rolestate
from paperfleet.settings.fleet import LAUNCHED, FleetSettings

SECRET = "s3cret"
APP = {"PAPERLESS_APPS": "paperfleet.paperless"}


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "src"
    folder.mkdir(parents=True)
    (folder / "manage.py").touch()
    return folder


def at(src: Path, **environ: str) -> Site:
    return site_of({"PAPERLESS_SRC": str(src), "HOME": str(src), **environ})


def test_a_secret_in_a_file_is_the_file_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "with_FILE_in_its_name"
    file.write_text(f"{SECRET}\n")
    found = with_secrets({"PAPERLESS_DBPASS_FILE": str(file), "PAPERLESS_DBPASS": "older"})
    assert found == {"PAPERLESS_DBPASS": SECRET}


@pytest.mark.parametrize("name", ["PAPERLESS_OCR_SKIP_ARCHIVE_FILE", "PAPERLESS_MODEL_FILE"])
def test_two_variables_that_end_so_are_no_secrets(name: str) -> None:
    assert with_secrets({name: "always"}) == {name: "always"}


def test_a_missing_secret_is_an_error_that_names_variable_and_file() -> None:
    with pytest.raises(ConfigurationError, match=r"PAPERLESS_SECRET_KEY_FILE.*/run/nowhere"):
        with_secrets({"PAPERLESS_SECRET_KEY_FILE": "/run/nowhere"})


def cgroup(root: Path, line: str, files: dict[str, str]) -> float | None:
    own = root / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    own.write_text(line)
    for name, content in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return limit(root)


@pytest.mark.parametrize(
    ("line", "files", "wanted"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        (
            "0::/a/b\n",
            {"cpu.max": "max 1000", "a/cpu.max": "250 1000", "a/b/cpu.max": "500 1000"},
            0.25,
        ),
        (
            "5:cpu,cpuacct:/docker/x\n1:name=systemd:/\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "75000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.75,
        ),
        ("5:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "100000000 1000\n"}, None),
    ],
)
def test_the_limit_of_processors_is_the_lowest_of_the_groups(
    tmp_path: Path, line: str, files: dict[str, str], wanted: float | None
) -> None:
    assert cgroup(tmp_path, line, files) == wanted


@pytest.mark.parametrize(
    ("cores", "environ", "wanted"),
    [
        (4.0, {}, "4"),
        (3.9, {"PAPERLESS_TASK_WORKERS": "2"}, "1"),
        (0.5, {}, "1"),
        (4.0, {"PAPERLESS_THREADS_PER_WORKER": "7"}, None),
        (None, {}, None),
    ],
)
def test_threads_follow_the_limit_unless_somebody_chose_them(
    monkeypatch: pytest.MonkeyPatch,
    src: Path,
    cores: float | None,
    environ: dict[str, str],
    wanted: str | None,
) -> None:
    monkeypatch.setattr(site, "limit", lambda: cores)
    assert at(src, **environ).chosen.get("PAPERLESS_THREADS_PER_WORKER") == wanted


def test_folders_are_made_as_in_the_image(src: Path, tmp_path: Path) -> None:
    make_folders(at(src, PAPERLESS_SCRATCH_DIR=str(tmp_path / "scratch")))
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir()}
    assert made == {
        *("checkout", "checkout/src", "checkout/consume", "checkout/data", "checkout/data/index"),
        *("checkout/media", "checkout/media/documents", "checkout/media/documents/originals"),
        *("checkout/media/documents/thumbnails", "scratch"),
    }


def test_a_folder_that_cannot_be_made_is_named_with_its_variable(src: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/data.*PAPERLESS_DATA_DIR"):
        make_folders(at(src, PAPERLESS_DATA_DIR=str(tmp_path / "file" / "data")))


def test_log_and_home_move_to_scratch_where_they_cannot_be(src: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scratch = tmp_path / "scratch"
    found = at(
        src,
        HOME=str(tmp_path / "file"),
        PAPERLESS_DATA_DIR=str(tmp_path / "file" / "data"),
        PAPERLESS_SCRATCH_DIR=str(scratch),
    )
    assert found.environ["HOME"] == str(scratch / "home")
    assert found.environ["PAPERLESS_LOGGING_DIR"] == str(scratch / "log")


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"PAPERLESS_BIND_ADDR": "127.0.0.1"}, ("127.0.0.1", 8000)),
        (
            {"GRANIAN_HOST": "::1", "PAPERLESS_BIND_ADDR": "::2", "PAPERLESS_PORT": "80"},
            ("::1", 80),
        ),
        ({"GRANIAN_HOST": "::1", "GRANIAN_PORT": "81", "PAPERLESS_PORT": "80"}, ("::1", 81)),
        ({"GRANIAN_HOST": "::1", "PAPERLESS_PORT": "tcp://10.0.0.1:8000"}, ("::1", 8000)),
    ],
)
def test_the_web_server_listens_where_the_image_would(
    src: Path, environ: dict[str, str], wanted: tuple[str, int]
) -> None:
    assert web_address(at(src, **environ)) == wanted


def test_a_port_that_is_none_is_an_error(src: Path) -> None:
    with pytest.raises(ConfigurationError, match="GRANIAN_PORT"):
        web_address(at(src, GRANIAN_PORT="http"))


def test_flower_gets_its_file_only_where_there_is_one(src: Path) -> None:
    flower = ROLES["flower"]
    assert list(flower.more(at(src))) == []
    (src / "paperless").mkdir()
    file = src / "paperless" / "flowerconfig.py"
    file.touch()
    assert list(flower.more(at(src))) == [f"--conf={file}"]


@pytest.mark.parametrize(
    ("celery", "added"),
    [((5, 5, 3), ["--prefetch-multiplier", "1"]), ((5, 6, 0), ["--disable-prefetch"])],
)
def test_a_worker_takes_no_more_than_it_must(
    src: Path, monkeypatch: pytest.MonkeyPatch, celery: tuple[int, ...], added: list[str]
) -> None:
    monkeypatch.setattr(programs, "version_of", lambda *_: celery)
    more = ROLES["worker"].more(site_of({"PAPERLESS_SRC": str(src)}))
    assert more == ["-n", "worker@%h", *added]


def test_the_mirror_follows_the_outbox_where_the_documents_are_in_a_storage() -> None:
    assert role_of("mirror", {}).command[-1] == "mirror"
    stored = role_of("mirror", {"PAPERLESS_DOCUMENT_STORAGE_BACKEND": "s3://bucket"})
    assert stored.command[-2:] == ("paperfleet_events", "--mirror")


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"PAPERLESS_DBENGINE": "mariadb", **APP}, "MariaDB"),
        ({}, "PAPERLESS_APPS=paperfleet.paperless"),
        ({**APP, "PAPERFLEET_ROLE_LEASE_SECONDS": "never"}, "PAPERFLEET_ROLE_LEASE_SECONDS"),
        ({**APP, "PAPERFLEET_ROLE_LESE": "redis"}, "PAPERFLEET_ROLE_LEASE"),
        ({**APP, "PAPERFLEET_ROLE_LEASE": "postgres"}, "no PostgreSQL"),
    ],
)
def test_what_cannot_work_is_refused(src: Path, environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        launcher.shown("scheduler", {"PAPERLESS_SRC": str(src), **environ})
    assert told in str(found.value)


def test_a_missing_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="PAPERLESS_SRC"):
        launcher.shown("web", {"PAPERLESS_SRC": str(tmp_path), **APP})


def test_what_would_be_run_is_shown_without_secrets(
    src: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "PAPERLESS_DBHOST": "db",
        "PAPERLESS_DBPASS": SECRET,
        "PAPERLESS_REDIS": f"redis://:{SECRET}@redis:6379",
    }
    for name, value in (APP | secrets | {"PAPERLESS_SRC": str(src)}).items():
        monkeypatch.setenv(name, value)
    for role in ("web", "scheduler", "consumer", "migrate"):
        for lease in ("postgres", "redis"):
            monkeypatch.setenv("PAPERFLEET_ROLE_LEASE", lease)
            assert main(["run", role, "--print"]) == 0
    text = capsys.readouterr().out
    assert SECRET not in text
    assert "becomes:   " in text
    assert "migrate --skip-checks --no-input" in text


def test_the_lease_lies_in_the_database_else_in_redis_for_as_long_as_the_media_lock() -> None:
    def address(**environ: str) -> str:
        return rolelease.lease_of("scheduler", environ).address.reveal()

    assert address().startswith("redis://localhost:6379?longest_ttl=60")
    assert "longest_ttl=90" in address(PAPERFLEET_MEDIA_LOCK_SECONDS="90")
    found = address(
        PAPERLESS_DBHOST="db",
        PAPERLESS_DBPASS="p@:/",
        PAPERLESS_DB_OPTIONS="sslmode=require,pool.max_size=4",
    )
    assert found == "postgresql://paperless:p%40%3A%2F@/paperless?host=db&port=5432&sslmode=require"
    assert address(PAPERLESS_DBHOST="db", PAPERLESS_DBENGINE="sqlite").startswith("redis:")


def test_installations_on_one_server_have_leases_of_their_own() -> None:
    one, other = (rolelease.lease_of("consumer", {"PAPERLESS_REDIS_PREFIX": p}) for p in "ab")
    assert one.name != other.name


def test_a_child_is_not_what_was_launched() -> None:
    text = rolelease.launched_text("worker", Path("/run/with space.json"))
    assert rolelease.launched({LAUNCHED: text}) == ("worker", Path("/run/with space.json"))
    assert rolelease.launched({LAUNCHED: text.replace(str(os.getpid()), "1")}) is None
    assert rolelease.launched({}) is None


def test_a_state_counts_while_its_process_runs(tmp_path: Path) -> None:
    file = tmp_path / "new" / "web.json"
    assert rolestate.told(file) is None
    rolestate.tell(file, rolestate.WORKING)
    found = rolestate.told(file)
    assert found is not None
    assert found.process == os.getpid()
    file.write_text(f'[{os.getpid()}, "1", "working"]')
    assert rolestate.told(file) is None, "another process has the number by now"
    file.write_text("[]")
    assert rolestate.told(file) is None


def test_a_wait_has_an_end_and_says_why() -> None:
    said: list[str] = []
    with pytest.raises(NotReadyError, match=r"shine, after 0 s: clouds\. Move"):
        wait_until(
            lambda: "clouds", "the sun does not shine", seconds=0, say=said.append, hint="Move"
        )
    answers = iter(["clouds", "clouds", ""])
    wait_until(lambda: next(answers), "no sun", seconds=60, say=said.append, hint="")
    assert said == ["waiting up to 60 s: no sun: clouds"]
    assert FleetSettings().server_wait_seconds == 60


def test_a_command_that_takes_long_is_told_of(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_TOLD_EVERY", 0.01)
    gate = tmp_path / "gate"
    until = (
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    )
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        gate.touch()

    command = ["python3", "-c", until]
    programs.run_to_end(at(src), command, role="web", stop=[], say=say)
    assert said[0].startswith("`python3 -c ")
    assert "has run for 0 s, and is waited for" in said[0]
    gate.unlink()
    said.clear()
    asked = programs.asked(at(src), [*command[:2], f"{until}\nprint('sun')"], 60, say=say)
    assert asked == (0, "sun")
    assert "has run for 0 s, and is waited for" in said[0]


def test_what_a_command_prints_is_no_answer_of_ours(
    src: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["python3", "-c", "print('Checking the manifest')"]
    programs.run_to_end(at(src), command, stop=[], say=print, aside=True)
    assert capfd.readouterr() == ("", "Checking the manifest\n")


def test_a_command_without_an_answer_is_ended(src: Path) -> None:
    endless = ["python3", "-c", "import time; print('begun', flush=True); time.sleep(600)"]
    code, text = programs.asked(at(src), endless, 0.2, say=print)
    assert (code, text) == (1, "no answer within 0.2 s")


def test_the_check_of_the_storage_is_told_of_while_it_takes_long(
    src: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_TOLD_EVERY", 0.001)
    monkeypatch.setattr(waits, "CHECK", ["python3", "-c", "import time; time.sleep(0.2)"])
    said: list[str] = []
    waits.storage_fault("web", at(src), said.append)
    assert "and is waited for" in said[0]


def test_a_redis_that_does_not_answer_is_told_without_its_password() -> None:
    pytest.importorskip("redis")
    reason = redis_fault({"PAPERLESS_REDIS": f"redis://:{SECRET}@127.0.0.1:1"})
    assert reason
    assert SECRET not in reason


def test_the_scheduler_forgets_when_this_host_last_started_what(src: Path, tmp_path: Path) -> None:
    """Another host may have started it since."""
    found = at(src, PAPERLESS_SCRATCH_DIR=str(tmp_path))
    for name in ("beat", "beat.db", "web.json"):
        file = found.state_file("web").parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    launcher._forget_ticks(found)
    assert [path.name for path in found.state_file("web").parent.iterdir()] == ["web.json"]


def test_replicas_that_share_a_scratch_folder_do_not_tell_for_each_other(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is the first process of a container, and asked for itself."""
    found = at(src, PAPERLESS_SCRATCH_DIR=str(tmp_path))
    files = []
    for host in ("worker-1", "worker-2"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        files.append(found.state_file("worker"))
    first, second = files
    rolestate.tell(first, rolestate.WORKING)
    assert rolestate.told(first) is not None
    assert rolestate.told(second) is None


def tesseract(folder: Path, languages: str) -> dict[str, str]:
    program = folder / "tesseract"
    program.write_text(f"#!{sys.executable}\nprint('List of languages:')\nprint({languages!r})\n")
    program.chmod(0o755)
    return {"PATH": str(folder)}


def test_languages_that_are_not_installed_are_named_with_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = tesseract(tmp_path, "eng\nchi_sim\nosd")
    monkeypatch.setenv("PATH", environ["PATH"])
    require_languages(environ | {"PAPERLESS_OCR_LANGUAGES": "chi-sim eng"})
    require_languages({})
    with pytest.raises(ConfigurationError, match="tesseract-ocr-tur tesseract-ocr-ces"):
        require_languages(environ | {"PAPERLESS_OCR_LANGUAGES": "tur eng ces"})


def test_the_table_says_what_the_help_and_the_concept_say() -> None:
    page = Path(__file__, "../../../docs/concepts/fleet.md").resolve().read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(ROLES)


SHOW = """
import os, sys
print(sys.argv[1:], os.environ["PAPERLESS_SECRET_KEY"], os.environ.get("PAPERLESS_SECRET_KEY_FILE"))
sys.exit(3)
"""


def test_a_command_of_manage_has_the_secrets_of_a_role(src: Path, tmp_path: Path) -> None:
    (src / "manage.py").write_text(SHOW)
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    folders = ("DATA_DIR", "MEDIA_ROOT", "SCRATCH_DIR", "CONSUMPTION_DIR")
    environ = {f"PAPERLESS_{name}": str(tmp_path / name) for name in folders}
    found = subprocess.run(
        [sys.executable, "-P", "-m", "paperfleet", "manage", "check", "--tag", "paperless"],
        env={"PAPERLESS_SRC": str(src), "PAPERLESS_SECRET_KEY_FILE": str(secret), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout.split("\n")[0] == f"['check', '--tag', 'paperless'] {SECRET} None"
    assert found.returncode == 3, found.stderr


def test_a_command_of_manage_without_paperless_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no paperless-ngx in"):
        launcher.manage(["check"], {"PAPERLESS_SRC": str(tmp_path)})


def test_a_web_server_at_every_address_is_asked_where_there_is_no_ipv6_loopback(src: Path) -> None:
    """As in a container of Docker: ``::`` takes connections, and ``::1`` is nobody's."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]  # of IPv4 alone, so that ::1 refuses
        answers = threading.Thread(target=lambda: answer_once(server))
        answers.start()
        where = at(src, GRANIAN_HOST="::", GRANIAN_PORT=str(port))
        assert probes._no_answer(where) == ""
        answers.join(10)


def answer_once(server: socket.socket) -> None:
    taken, _ = server.accept()
    with taken:
        taken.recv(1000)
        taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

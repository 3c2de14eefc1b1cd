"""Where a setting comes from, which source wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paperfleet.cli.settings import PAGES
from paperfleet.errors import ConfigurationError
from paperfleet.settings import app, backup, fleet, options
from paperfleet.settings.config import read, settings_of
from paperfleet.settings.environment import values_of
from paperfleet.settings.mirror import MirrorSettings, table
from paperfleet.settings.reference import app_page, backup_page, fleet_page, settings_page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

PASSWORD = "pa55 w0rd"
BASE = {"HOME": "/home/alice", "PAPERFLEET_SOURCE": "/src", "PAPERFLEET_TARGET": "/dst"}


def load(
    environ: Mapping[str, str], arguments: Mapping[str, object] | None = None
) -> MirrorSettings:
    return settings_of(read(arguments or {}, environ), environ)


def refusal(environ: Mapping[str, str], arguments: Mapping[str, object] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, arguments)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def config(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "paperfleet.toml"
    file.write_text(text)
    return BASE | {"PAPERFLEET_CONFIG": str(file)}


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_page_is_the_table(name: str) -> None:
    page = Path(__file__, f"../../../docs/reference/{name}.md").resolve()
    assert page.read_text() == PAGES[name](), "run make docs"


def test_no_two_components_have_a_variable_in_common() -> None:
    tables = (table(), options.table(), app.table(), fleet.table())
    variables = [row.variable for rows in tables for row in rows.values()]
    assert len(variables) == len(set(variables))


@pytest.mark.parametrize("other", [options, app, backup, fleet])
def test_a_variable_of_another_component_is_no_mistake(other: ModuleType) -> None:
    others = {row.variable: "x" for row in other.table().values()}
    assert load(BASE | others) == load(BASE)


@pytest.mark.parametrize("other", [options, app, backup, fleet])
def test_another_component_has_a_row_for_each_and_every_secret_its_file(other: ModuleType) -> None:
    page = app_page() + settings_page() + fleet_page() + backup_page()
    for row in other.table().values():
        assert f"| `{row.variable}` |" in page
        if row.secret:
            assert other.table()[f"{row.key}_file"].kind is Path


def test_every_setting_has_a_row_and_every_secret_its_file() -> None:
    assert list(table()) == list(MirrorSettings.__dataclass_fields__)
    for setting in table().values():
        assert setting.about.help
        assert f"| `{setting.key}` |" in settings_page()
        if setting.secret:
            assert setting.flag == ""
            assert table()[f"{setting.key}_file"].kind is Path
        if setting.kind in (int, float):
            assert setting.about.minimum is not None
            assert setting.about.maximum is not None


def test_the_defaults_are_those_of_the_dataclass() -> None:
    assert load(BASE) == MirrorSettings(source="/src", target="/dst", journal=load(BASE).journal)


def test_the_order_is_command_line_then_environment_then_older_names_then_file(
    tmp_path: Path,
) -> None:
    environ = config(tmp_path, "[mirror]\nusername = 'file'\n")
    del environ["PAPERFLEET_TARGET"]
    environ["WEBDRIVE_URL"] = "https://cloud.example/dav"
    assert load(environ).username == "file"
    environ["WEBDRIVE_USER"] = "older"
    assert load(environ).username == "older"
    environ["PAPERFLEET_USERNAME"] = "environment"
    assert load(environ).username == "environment"
    assert load(environ, {"username": "option"}).username == "option"


def test_the_davfs2_containers_settings_go_on_working(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    environ = {
        "HOME": "/",
        "WEBDRIVE_URL": "https://cloud.example/remote.php/dav/files/alice/",
        "WEBDRIVE_USER": "alice",
        "WEBDRIVE_PASSWORD": "",
        "WEBDRIVE_PASSWORD_FILE": str(secret),
        "FOLDER_USER": "0",
        "ACCESS_DIR": "755",
        "TZ": "Europe/Berlin",
        "LC_ALL": "de_DE.UTF-8",
    }
    settings = load(environ)
    assert settings.source == "/mnt/source"
    assert settings.target == environ["WEBDRIVE_URL"]
    assert settings.username == "alice"
    assert settings.password is not None
    assert settings.password.reveal() == PASSWORD
    (notice,) = read({}, environ).notices
    assert notice == "not needed, since nothing is mounted: FOLDER_USER, ACCESS_DIR"


def test_a_given_source_wins_over_the_davfs2_containers() -> None:
    assert load(BASE | {"WEBDRIVE_URL": "https://cloud.example/"}).source == "/src"


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("secret\n", "secret"),
        ("secret\r\n", "secret"),
        ("secret", "secret"),
        (" a b \n\n", " a b \n"),
        ("pässwörd\n", "pässwörd"),
    ],
)
def test_a_secret_from_a_file_loses_one_newline_alone(
    tmp_path: Path, content: str, password: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    settings = load(BASE | {"PAPERFLEET_PASSWORD_FILE": str(file)})
    assert settings.password is not None
    assert settings.password.reveal() == password
    assert settings.password_file == file


def test_the_file_of_a_stronger_source_wins_over_the_password_of_a_weaker(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("new")
    environ = BASE | {"PAPERFLEET_PASSWORD": "old"}
    settings = load(environ, {"password_file": str(file)})
    assert settings.password is not None
    assert settings.password.reveal() == "new"
    assert load(BASE | {"PAPERFLEET_PASSWORD": "a", "WEBDRIVE_PASSWORD": "b"}).password_file is None


def test_no_secret_is_shown() -> None:
    settings = load(BASE | {"PAPERFLEET_PASSWORD": PASSWORD})
    assert PASSWORD not in f"{settings} {settings!r} {read({}, BASE)!r}"


def test_a_toml_file_has_types_of_its_own(tmp_path: Path) -> None:
    environ = config(
        tmp_path,
        "[mirror]\nconnections = 3\nsettle_seconds = 2\nfollow_links = true\nca_file = '/ca.pem'\n",
    )
    settings = load(environ)
    assert (settings.connections, settings.settle_seconds) == (3, 2.0)
    assert settings.follow_links is True
    assert settings.ca_file == Path("/ca.pem")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PAPERFLEET_POL_SECONDS", "3", "Did you mean PAPERFLEET_POLL_SECONDS?"),
        ("PAPERFLEET_XYZZY", "3", "docs/reference/settings.md"),
        ("PAPERFLEET_CONNECTIONS", "0", "'0' is not a whole number from 1 to 64"),
        ("PAPERFLEET_CONNECTIONS", "many", "'many' is not a whole number from 1 to 64"),
        ("PAPERFLEET_CONNECTIONS", "1.5", "'1.5' is not a whole number from 1 to 64"),
        ("PAPERFLEET_SETTLE_SECONDS", "nan", "is not a number from 0 to 3,600"),
        ("PAPERFLEET_SETTLE_SECONDS", "inf", "is not a number from 0 to 3,600"),
        ("PAPERFLEET_ONCE", "maybe", "'maybe' is not true or false"),
        ("PAPERFLEET_ADOPT", "sometimes", "'sometimes' is not checksum or mtime"),
        ("PAPERFLEET_PASSWORD_FILE", "/nowhere/x", "cannot read /nowhere/x: No such file"),
        ("PAPERFLEET_PASSWORD_FILE", "/", "cannot read /: Is a directory"),
        ("PAPERFLEET_CONFIG", "/nowhere/x.toml", "PAPERFLEET_CONFIG: cannot read /nowhere/x.toml"),
        ("PAPERFLEET_TARGET", f"https://a:{PASSWORD}@h/", "the URL has a password in it"),
        ("PAPERFLEET_TARGET", f"https://a:{PASSWORD}@[h/", "this is not a URL"),
    ],
)
def test_what_is_wrong_is_named(variable: str, value: str, message: str) -> None:
    text = refusal(BASE | {variable: value})
    assert variable in text
    assert message in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mirror]\nconections = 3\n", "unknown key in [mirror] conections. Did you mean connect"),
        ("[miror]\n", "unknown table miror. Did you mean mirror?"),
        ("mirror = 3\n", "mirror is not a table"),
        ("[mirror]\nconnections = '3'\nconnections = 3\n", "is not TOML"),
        ("[mirror]\nconnections = true\n", "True is not a whole number"),
        ("[mirror]\nonce = 1\n", "1 is not true or false"),
        ("[mirror]\nusername = 3\n", "3 is not a text"),
        ("[mirror]\nconnections = [3]\n", "[3] is not a whole number"),
        ("[mirror]\npassword = 3\n", "this is not a text"),
        (f"[mirror]\npassword = '{PASSWORD}\n", "is not TOML"),
        ("[mirror]\npassword = 'a'\npassword_file = 'b'\n", "are both set"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    found = refusal(config(tmp_path, text))
    assert "paperfleet.toml" in found
    assert message in found


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    environ = config(tmp_path, "")
    Path(environ["PAPERFLEET_CONFIG"]).write_bytes(b"\xff")
    assert "it is not UTF-8" in refusal(environ)


def test_a_password_that_is_no_text_or_empty_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xff")
    assert "is not UTF-8" in refusal(BASE | {"PAPERFLEET_PASSWORD_FILE": str(file)})
    file.write_bytes(b"\n")
    assert "is empty" in refusal(BASE | {"PAPERFLEET_PASSWORD_FILE": str(file)})


def test_a_password_and_its_file_contradict_each_other() -> None:
    text = refusal(BASE | {"PAPERFLEET_PASSWORD": PASSWORD, "PAPERFLEET_PASSWORD_FILE": "/x"})
    assert "PAPERFLEET_PASSWORD and PAPERFLEET_PASSWORD_FILE are both set" in text


@pytest.mark.parametrize("missing", ["source", "target"])
def test_what_is_missing_is_named(missing: str) -> None:
    environ = {name: value for name, value in BASE.items() if missing.upper() not in name}
    text = refusal(environ)
    assert f"no {missing} is given" in text
    assert f"PAPERFLEET_{missing.upper()}" in text


def test_the_user_may_stand_in_the_url() -> None:
    environ = BASE | {"PAPERFLEET_TARGET": "nextclouds://al%40ice@cloud.example/Archive"}
    assert load(environ).username == "al@ice"
    assert load(environ | {"PAPERFLEET_USERNAME": "al@ice"}).username == "al@ice"
    assert "two users for the target" in refusal(environ | {"PAPERFLEET_USERNAME": "bob"})


def test_variables_of_service_links_and_tests_are_not_settings() -> None:
    others = {
        "PAPERFLEET_PORT": "tcp://10.0.0.1:80",
        "PAPERFLEET_PORT_80_TCP_ADDR": "10.0.0.1",
        "PAPERFLEET_SERVICE_HOST": "10.0.0.1",
        "PAPERFLEET_SERVICE_PORT_HTTP": "80",
        "PAPERFLEET_TEST_NEXTCLOUD_URL": "https://cloud.example/",
    }
    assert load(BASE | others) == load(BASE)


def test_a_service_of_the_name_of_a_port_sets_no_port() -> None:
    """Kubernetes does so for a service that is called paperfleet-metrics."""
    found = values_of(app.table(), {"PAPERFLEET_METRICS_PORT": "tcp://10.0.0.1:9464"})
    assert found == {}
    with pytest.raises(ConfigurationError, match="PAPERFLEET_METRICS_PORT"):
        values_of(app.table(), {"PAPERFLEET_METRICS_PORT": "http"})


@pytest.mark.parametrize(
    ("zone", "notices"), [("Europe/Berlin", 0), (":Europe/Berlin", 0), ("CET-1CEST", 0), ("A/B", 1)]
)
def test_an_unknown_time_zone_is_told(zone: str, notices: int) -> None:
    assert len(read({}, BASE | {"TZ": zone}).notices) == notices


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/h"}, "/h/.local/state/paperfleet"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/var/lib"}, "/var/lib/paperfleet"),
        ({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/paperfleet"),
    ],
)
def test_the_journal_is_in_the_state_folder(environ: dict[str, str], folder: str) -> None:
    assert str(load(BASE | environ).journal.parent) == folder


def test_each_pair_has_its_journal_however_it_is_written() -> None:
    def journal(source: str, target: str) -> Path:
        return load(BASE, {"source": source, "target": target}).journal

    one = journal("/src", "https://h/a")
    assert journal("/src/", "https://h/a/") == one
    assert journal("file:///src", "https://h/a") == one
    assert journal("/src", "https://h/b") != one
    assert journal("/src/a", "https://h/a") != one


def test_a_journal_can_be_named() -> None:
    assert load(BASE, {"journal": "/var/x.sqlite"}).journal == Path("/var/x.sqlite")

"""``paperfleet doctor`` on a Nextcloud: what it says of itself, and each thing that goes wrong."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.integration.doctor_kit import Patient, Said
from tests.servers import nextcloud_pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.nextcloud_double import NextcloudDouble


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def asked(patient: Patient, double: NextcloudDouble, *more: str, **environ: str) -> Said:
    login = {"PAPERFLEET_USERNAME": double.user, "PAPERFLEET_PASSWORD": double.password}
    return patient.asks(*more, patient.source, double.url, **(login | environ))


def test_all_is_well(patient: Patient, double: NextcloudDouble) -> None:
    said = asked(patient, double)
    assert (said.code, said.not_ok()) == (0, [])
    assert said.of("target", "server") == [("ok", "Nextcloud 29.0.6")]
    assert len(said.of("target", "abilities")) == 4
    written = {"PUT", "MKCOL", "MOVE", "DELETE", "POST", "PATCH", "COPY", "PROPPATCH"}
    assert not written & {request.method for request in double.requests}
    assert double.activity == []


def test_what_was_tried_is_gone_from_the_trash_too(
    patient: Patient, double: NextcloudDouble
) -> None:
    double.write("a.pdf", b"somebody's")
    double.write("old.pdf", b"somebody's")
    double.delete("old.pdf")
    trash = dict(double.files.trash.entries)
    said = asked(patient, double, "--write-probe")
    assert (said.code, said.not_ok()) == (0, [])
    assert "by a hash of what arrived" in said.text("target", "a file there and back")
    assert double.tree() == {"a.pdf": b"somebody's"}
    assert double.files.trash.entries == trash


def test_a_wrong_password_is_tried_once(patient: Patient, double: NextcloudDouble) -> None:
    wrong = "wwwww-wwwww-wwwww-wwwww-wwwww"
    said = asked(patient, double, "--write-probe", PAPERFLEET_PASSWORD=wrong)
    assert (said.code, said.problems()) == (1, [("target", "login")])
    assert double.login.attempts() == 1
    for check in ("abilities", "folder", "names", "room", "a file there and back"):
        assert said.verdicts("target", check) == ["not tried"]


def test_the_password_of_the_account(patient: Patient, double: NextcloudDouble) -> None:
    said = asked(patient, double, PAPERFLEET_PASSWORD=double.account_password)
    assert (said.code, said.not_ok()) == (0, [("target", "app password", "warning")])
    assert double.account_password not in said.printed


def test_no_password(patient: Patient, double: NextcloudDouble) -> None:
    said = asked(patient, double, PAPERFLEET_PASSWORD="")
    assert ("target", "app password") in said.problems()


@pytest.mark.parametrize(
    ("failed", "verdict", "attempts"), [(3, "warning", 3), (7, "warning", 7), (8, "problem", 8)]
)
def test_failed_logins_of_others(
    failed: int, verdict: str, attempts: int, patient: Patient, double: NextcloudDouble
) -> None:
    """The password is right, so that one more attempt does no harm; a lock-out is near at 8."""
    double.login.failures += [double.clock()] * failed
    said = asked(patient, double)
    assert said.verdicts("target", "failed logins") == [verdict]
    assert said.verdicts("target", "login") == ["not tried" if verdict == "problem" else "ok"]
    assert double.login.attempts() == attempts


def test_maintenance(patient: Patient, double: NextcloudDouble) -> None:
    double.maintenance = True
    said = asked(patient, double)
    assert said.problems() == [("target", "server")]
    assert "maintenance" in said.text("target", "server")
    assert said.verdicts("target", "login") == ["not tried"]


def test_a_host_that_is_not_trusted(patient: Patient, double: NextcloudDouble) -> None:
    double.state.untrusted = True
    said = asked(patient, double)
    assert said.problems() == [("target", "server")]
    assert "trusted_domains" in said.remedy("target", "server")


def test_a_disabled_account(patient: Patient, double: NextcloudDouble) -> None:
    double.login.disabled = True
    said = asked(patient, double)
    assert said.problems() == [("target", "login")]
    assert "disabled" in said.text("target", "login")


def test_an_old_server(
    patient: Patient, double: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nextcloud_pages, "VERSION", "25.0.1")
    said = asked(patient, double)
    assert said.not_ok() == [("target", "server", "warning")]


def test_another_server_at_the_address(patient: Patient, double: NextcloudDouble) -> None:
    double.faults.add("GET", "status.php", status=404)
    double.faults.add("GET", "/status.php", status=404)
    said = asked(patient, double)
    assert said.problems() == [("target", "server")]
    assert "no Nextcloud" in said.text("target", "server")


@pytest.mark.parametrize(
    ("switch_off", "words"),
    [
        (lambda double: setattr(double, "keeps_versions", False), "Versions is off"),
        (lambda double: setattr(double.state, "bulk", False), "one file at a time"),
        (lambda double: setattr(double.state, "undelete", False), "Deleted files is off"),
    ],
)
def test_abilities_that_are_off(
    switch_off: Callable[[NextcloudDouble], None],
    words: str,
    patient: Patient,
    double: NextcloudDouble,
) -> None:
    switch_off(double)
    said = asked(patient, double)
    assert said.not_ok() == [("target", "abilities", "warning")]
    assert words in said.text("target", "abilities")
    assert said.code == 0


def test_without_chunks(patient: Patient, double: NextcloudDouble) -> None:
    double.state.chunking = False
    assert asked(patient, double).problems() == [("target", "abilities")]


@pytest.mark.parametrize(
    ("quota", "verdict"), [(0, "problem"), (10, "warning"), (10**9, "ok"), (None, "not tried")]
)
def test_the_quota(
    quota: int | None, verdict: str, patient: Patient, double: NextcloudDouble
) -> None:
    double.quota = quota
    said = asked(patient, double)
    assert said.verdicts("target", "room") == [verdict]
    assert said.code == (verdict == "problem")


def test_a_write_that_has_no_room(patient: Patient, double: NextcloudDouble) -> None:
    double.quota = 3
    said = asked(patient, double, "--write-probe")
    assert ("target", "a file there and back") in said.problems()
    assert double.tree() == {}
    assert double.files.trash.entries == {}


BAD = ["b\\c.pdf", "x.part", ".htaccess", "n" * 251, "tab\t.pdf"]


def test_names_that_it_does_not_take(patient: Patient, double: NextcloudDouble) -> None:
    for name in BAD:
        (patient.source / name).write_bytes(b"x")
    said = asked(patient, double)
    assert said.problems() == [("target", "names")] * len(BAD)
    for name in BAD:
        assert name == ".htaccess" or name[:100] not in said.printed, "it may be private"
    assert all("names" not in row for row in said.results)
    named = asked(patient, double, "--names")
    told = [row["names"] for row in named.results if row.get("names")]
    assert sorted(name for names in told for name in names) == sorted(BAD)


def test_the_rules_are_the_servers_own(
    patient: Patient, double: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    (patient.source / "what?.pdf").write_bytes(b"x")
    assert asked(patient, double).not_ok() == []
    real = nextcloud_pages._private_capabilities

    def strict(state: nextcloud_pages.State) -> dict[str, object]:
        found = real(state)
        files = found["files"]
        assert isinstance(files, dict)
        return found | {"files": files | {"forbidden_filename_characters": ["?"]}}

    monkeypatch.setattr(nextcloud_pages, "_private_capabilities", strict)
    said = asked(patient, double)
    assert said.problems() == [("target", "names")]
    assert "'?'" in said.text("target", "names")


def test_two_names_that_are_one_there(patient: Patient, double: NextcloudDouble) -> None:
    for form in ("NFC", "NFD"):
        (patient.source / unicodedata.normalize(form, "ü.pdf")).write_bytes(b"x")
    said = asked(patient, double)
    assert said.problems() == [("target", "names")]
    assert "2 files have names" in said.text("target", "names")


def test_a_folder_that_may_not_be_read(patient: Patient, double: NextcloudDouble) -> None:
    double.write("closed/a.pdf", b"x")
    with double.unreadable("closed"):
        said = asked(patient, double)
    assert ("target", "listing", "warning") in said.not_ok()

"""``paperfleet doctor`` on the backups of a host: real restic."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.doctor_kit import Patient, Said
from tests.paperless.backup_kit import MISSING, PASSWORD, restic
from tests.trees import read_tree

from paperfleet.backup.published import Drill, publish
from paperfleet.backup.tags import OURS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "restic is there")


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    patient = Patient(tmp_path)
    (tmp_path / "own").mkdir()
    patient.environ |= {
        "PAPERFLEET_BACKUP_REPOSITORY": str(tmp_path / "repository"),
        "PAPERFLEET_BACKUP_PASSWORD": PASSWORD,
        "PAPERFLEET_BACKUP_FOLDER": str(tmp_path / "own"),
    }
    return patient


def asked(patient: Patient, **environ: str) -> Said:
    said = patient.asks(**environ)
    assert PASSWORD not in said.printed
    return said


def backed_up(patient: Patient, *, days: float) -> Path:
    """Make a repository with a snapshot as ours are, of so many days ago; return it."""
    repository = patient.base / "repository"
    restic(repository, "init")
    as_of = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    about = {"paperless": "3.0.0", "as-of": as_of.isoformat(), "documents": "5", "files": "5"}
    tags = [OURS, "complete", "bytes=5", *(f"{key}={value}" for key, value in about.items())]
    words = [word for tag in tags for word in ("--tag", tag)]
    restic(repository, "backup", "--host", "paperless", *words, ".", cwd=patient.source)
    return repository


def test_backups_are_well_and_nothing_is_written(patient: Patient) -> None:
    repository = backed_up(patient, days=0.5)
    publish(patient.base / "own", Drill("green", time.time() - 60, "x", "paperless", "abc"))
    before = read_tree(repository), read_tree(patient.base / "own")
    said = asked(patient)
    assert (said.code, said.not_ok()) == (0, [])
    assert said.text("backup", "backups").startswith("1 complete ones, the last 12 h")
    assert (read_tree(repository), read_tree(patient.base / "own")) == before


@pytest.mark.parametrize(("days", "words"), [(5, "5 d 0 h old"), (-5, "a time to come")])
def test_an_old_backup(days: float, words: str, patient: Patient) -> None:
    backed_up(patient, days=days)
    said = asked(patient)
    assert ("backup", "backups", "warning") in said.not_ok()
    assert words in said.text("backup", "backups")
    assert ("backup", "drill", "warning") in said.not_ok(), "none was ever made"


def test_no_backup_yet(patient: Patient) -> None:
    restic(patient.base / "repository", "init")
    assert "no complete backup" in asked(patient).text("backup", "backups")


def test_no_repository(patient: Patient) -> None:
    said = asked(patient)
    assert (said.code, said.problems()) == (1, [("backup", "backups")])
    assert not (patient.base / "repository").exists()


def test_a_wrong_password(patient: Patient) -> None:
    restic(patient.base / "repository", "init")
    said = asked(patient, PAPERFLEET_BACKUP_PASSWORD="geheim-9")
    assert said.problems() == [("backup", "backups")]
    assert "geheim" not in said.printed


def test_no_restic(patient: Patient) -> None:
    said = asked(patient, PAPERFLEET_BACKUP_RESTIC="restic-nowhere")
    assert said.problems() == [("backup", "backups")]
    assert "no program" in said.text("backup", "backups")


def test_a_red_drill(patient: Patient) -> None:
    backed_up(patient, days=0.5)
    reasons = ("a document is missing",)
    drill = Drill("red", time.time() - 60, "x", "paperless", reasons=reasons)
    publish(patient.base / "own", drill)
    said = asked(patient)
    assert said.problems() == [("backup", "drill")]
    assert "a document is missing" in said.text("backup", "drill")


def test_a_plain_storage(patient: Patient) -> None:
    plain = patient.base / "plain"
    for name in ("REPOSITORY", "PASSWORD"):
        del patient.environ[f"PAPERFLEET_BACKUP_{name}"]
    said = asked(patient, PAPERFLEET_BACKUP_PLAIN=str(plain))
    assert ("storage of backups", "folder", "warning") in said.not_ok()
    assert not plain.exists()
    plain.mkdir()
    said = asked(patient, PAPERFLEET_BACKUP_PLAIN=str(plain))
    assert said.verdicts("storage of backups", "folder") == ["ok"]
    assert read_tree(plain) == {}


def test_settings_that_cannot_be(patient: Patient) -> None:
    said = asked(patient, PAPERFLEET_BACKUP_PASSWORD="")
    assert said.problems() == [("backup", "settings")]

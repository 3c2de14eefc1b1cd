"""``paperfleet doctor`` where the source is a paperless-ngx, reached by its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.integration.doctor_kit import Patient
from tests.servers.paperless_double import TOKEN, Answer, paperless_double

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.doctor_kit import Said
    from tests.servers.paperless_double import PaperlessDouble

SOURCE = "source"


@pytest.fixture
def paperless() -> Iterator[PaperlessDouble]:
    with paperless_double() as running:
        for n in range(3):
            running.add(f"document {n}", f"content {n}".encode())
        yield running


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


def said_of(patient: Patient, paperless: PaperlessDouble, **environ: str) -> Said:
    (patient.base / "target").mkdir(exist_ok=True)
    given = {"PAPERFLEET_PAPERLESS_TOKEN": TOKEN} | environ
    said = patient.asks("--paperless", paperless.url, patient.base / "target", **given)
    assert TOKEN not in said.printed
    return said


def test_what_is_well_is_said_to_be_and_nothing_is_left(
    patient: Patient, paperless: PaperlessDouble
) -> None:
    said = said_of(patient, paperless)
    assert said.code == 0
    assert said.not_ok() == []
    assert "3 documents" in said.text(SOURCE, "documents")
    assert said.verdicts("target", "names") == ["not tried"]
    assert not (patient.base / "state").exists()
    assert not paperless.downloads


def test_a_token_that_is_not_taken_is_a_problem_and_nothing_more_is_asked(
    patient: Patient, paperless: PaperlessDouble
) -> None:
    said = said_of(patient, paperless, PAPERFLEET_PAPERLESS_TOKEN="another one")
    assert said.code == 1
    assert "does not take the token" in said.text(SOURCE, "documents")
    assert said.verdicts(SOURCE, "tasks") == ["not tried"]
    assert "another one" not in said.printed
    assert paperless.requests.total() == 1


def test_what_the_user_of_the_token_may_not_see_is_told(
    patient: Patient, paperless: PaperlessDouble
) -> None:
    paperless.superuser = False
    said = said_of(patient, paperless, PAPERFLEET_ONLY_TAGS="Tax")
    assert said.verdicts(SOURCE, "user of the token") == ["warning"]
    assert said.verdicts(SOURCE, "tasks") == ["warning"]
    assert said.verdicts(SOURCE, "names of lists") == ["problem"]
    assert "Tax" in said.text(SOURCE, "names of lists")
    paperless.may_list = False
    said = said_of(patient, paperless)
    assert "view_document" in said.remedy(SOURCE, "documents")


def test_another_server_at_the_address_is_a_problem(
    patient: Patient, paperless: PaperlessDouble
) -> None:
    paperless.fault = lambda _path, _query: Answer(200, b"<html>log in", "text/html")
    said = said_of(patient, paperless)
    assert said.problems() == [(SOURCE, "documents")]
    assert "no paperless-ngx answers" in said.text(SOURCE, "documents")

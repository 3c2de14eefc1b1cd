"""The page about WebDAV servers says what the running servers do."""

from __future__ import annotations

import pytest
from tests.servers.kinds import KINDS
from tests.servers.survey import QUESTIONS, cut_put, survey
from tests.servers.survey_page import PAGE, VERSIONS, page, stored
from tests.wide import first_of

TIMED = next(title for title, question in QUESTIONS.items() if question is cut_put)
"""When a server writes what it has of an upload is its own affair."""


def test_the_page_is_made_from_what_was_found() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_every_server_that_runs_here_is_on_it() -> None:
    assert set(VERSIONS) <= stored().keys()
    assert set(KINDS) - {"nextcloud"} == set(VERSIONS)


@pytest.mark.parametrize("kind", first_of(VERSIONS))
def test_a_server_does_what_the_page_says(kind: str) -> None:
    if reason := KINDS[kind].missing():
        pytest.skip(reason)
    known, facts = stored()[kind]
    if VERSIONS[kind]() != known:
        pytest.skip(f"{kind} {VERSIONS[kind]()} is here, the page is about {known}: make survey")
    with KINDS[kind].start() as server:
        found = survey(server)
    assert {**found, TIMED: ""} == {**facts, TIMED: ""}

"""A real installation of which one program lacks the settings, or has those of another bucket."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, papers
from tests.paperless.conftest import make, s3_server
from tests.paperless.installation import Bucket, Installation
from tests.paperless.programs import ProgramFailedError
from tests.servers.s3 import new_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Servers

pytestmark = pytest.mark.paperless
WITHOUT = {
    "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "",
    "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": "",
}
NAMES = ("web", "worker", "scheduler", "consumer")


@pytest.fixture(scope="module")
def paperless(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Run the web server and the worker of an installation with one document in its bucket."""
    with s3_server("moto") as server:
        bucket = Bucket(server, new_location())
        with make(servers, tmp_path_factory.mktemp("one"), bucket) as installation:
            installation.start("web", "worker")
            with closing(installation.rest()) as rest:
                rest.upload("a note.txt", papers.plain())
            installation.stop("worker")
            yield installation


def ends(paperless: Installation, name: str, settings: dict[str, str]) -> str:
    """Start a program, which has to end; return what it said."""
    try:
        paperless.start(name, environ=settings)
        program = paperless.program(name)
        program.wait(120)
        return program.output()
    except ProgramFailedError as error:
        return str(error)


@pytest.mark.parametrize("name", NAMES)
def test_a_program_without_the_settings_ends(paperless: Installation, name: str) -> None:
    told = ends(paperless, name, WITHOUT)
    assert "the documents of this database are in s3://" in told
    assert "this process would use paperless-ngx's own folder" in told
    assert paperless.local_documents() == []


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_program_with_another_location_ends(paperless: Installation, name: str) -> None:
    assert paperless.bucket is not None
    other = Bucket(paperless.bucket.server, new_location())
    told = ends(paperless, name, other.environ)
    assert f"and this process would use s3://{other.server.bucket}/{other.location}" in told
    assert agreement.bypass(other).names() == set()


def test_commands_without_the_settings_refuse(paperless: Installation) -> None:
    for command in (["check"], ["document_sanity_checker"], ["document_exporter", "/none"]):
        told = paperless.manage(*command, code=1, environ=WITHOUT)
        assert "the documents of this database are in s3://" in told
    assert "paperfleet" not in paperless.manage("check")

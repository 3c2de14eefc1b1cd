"""Making and removing folders and temporary files: what each refusal turns out to mean."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest
from tests.unit.dav_kit import CUT, URL, Server, client, entry, known, listing, sabre

from paperfleet.errors import (
    AlreadyExistsError,
    CredentialsError,
    FileAccessError,
    IntegrityError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import ANYTHING, Upload
from paperfleet.storage.dav import arrivals, tidying
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.dav import folders as folders_module
from paperfleet.storage.dav.folders import Folders
from paperfleet.storage.dav.listing import DavListing
from paperfleet.storage.dav.removing import Remover
from paperfleet.storage.dav.tidying import Temporaries
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    import httpx

MADE, EXISTS, NO_PARENT, GONE = sabre(201), sabre(405), sabre(409), sabre(404)
A_FOLDER, A_FILE = listing(entry("x", folder=True)), listing(entry("x"))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "UNLOCKING", ())
    monkeypatch.setattr(folders_module, "_RACE", 0.0)
    monkeypatch.setattr(tidying, "_AFTER_A_CUT", (0.0, 0.0))


def make(name: str, *answers: httpx.Response) -> list[str]:
    """Make a folder; return the requests that it took."""
    server = Server(list(answers))
    with client(server) as dav:
        Folders(dav, DavListing(dav)).make(name)
    return [line.replace("/dav/Folder/", "") for line in server.log]


def test_a_folder_in_a_folder_that_is_there() -> None:
    assert make("a/b", MADE) == ["MKCOL a/b/"]


def test_a_folder_without_its_parents() -> None:
    answers = (NO_PARENT, NO_PARENT, MADE, MADE, MADE)
    assert make("a/b", *answers) == ["MKCOL a/b/", "MKCOL a/", "MKCOL ", "MKCOL a/", "MKCOL a/b/"]


@pytest.mark.parametrize("status", [400, 403, 405, 500])
def test_a_folder_that_is_there(status: int) -> None:
    assert make("a", sabre(status), A_FOLDER) == ["MKCOL a/", "PROPFIND a"]


@pytest.mark.parametrize("status", [400, 403, 405, 500])
def test_a_file_in_the_way(status: int) -> None:
    with pytest.raises(AlreadyExistsError, match="in the way"):
        make("a", sabre(status), A_FILE)


def test_a_file_above() -> None:
    with pytest.raises(AlreadyExistsError, match="in the way"):
        make("a/b", sabre(400), GONE, A_FILE)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, NameRefusedError), (403, FileAccessError), (500, UnavailableError)],
)
def test_a_folder_that_cannot_be(status: int, expected: type[StorageError]) -> None:
    with pytest.raises(expected):
        make("a", sabre(status), GONE)


def test_a_folder_that_vanished_in_between_is_made() -> None:
    assert make("a", EXISTS, GONE, EXISTS, MADE)[-1] == "MKCOL a/"


def test_a_parent_that_always_vanishes() -> None:
    with pytest.raises(NotFoundError, match="vanished"):
        make("a/b", NO_PARENT, MADE, NO_PARENT)


@pytest.mark.parametrize("status", [404, 409])
def test_a_root_without_the_folder_above_it(status: int) -> None:
    with pytest.raises(NotAStorageError, match="neither this folder"):
        make("a", sabre(status))


class Action:
    """Fails with these errors one after the other, then gives a result."""

    def __init__(self, *failures: StorageError) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def with_parents(action: Action, *answers: httpx.Response) -> str:
    with client(Server(list(answers))) as dav:
        return Folders(dav, DavListing(dav)).with_parents("x/y", action)


def test_what_needs_parents_gets_them() -> None:
    assert with_parents(Action(), GONE) == "done"
    for failure in (NotFoundError("r"), FileAccessError("r"), NameRefusedError("r")):
        assert with_parents(Action(failure), GONE, MADE) == "done"


def test_parents_that_come_and_go() -> None:
    failing = Action(NotFoundError("1"), NotFoundError("2"))
    assert with_parents(failing, A_FOLDER) == "done"
    always = Action(*(NotFoundError(f"{number}") for number in range(5)))
    with pytest.raises(NotFoundError):
        with_parents(always, A_FOLDER)
    assert always.calls == 3


@pytest.mark.parametrize("failure", [FileAccessError("r"), NameRefusedError("r")])
def test_a_refusal_with_all_parents_there_is_final(failure: StorageError) -> None:
    action = Action(failure)
    with pytest.raises(type(failure)):
        with_parents(action, A_FOLDER)
    assert action.calls == 1


def test_other_errors_have_nothing_to_do_with_parents() -> None:
    with pytest.raises(UnavailableError):
        with_parents(Action(UnavailableError("r")))


def remove(*answers: httpx.Response) -> tuple[bool, Server]:
    server = Server(list(answers))
    with client(server) as dav:
        return Remover(dav, DavListing(dav), known(dav)).remove_folder("x"), server


def test_an_empty_folder_goes_on_the_condition_that_it_is_the_one_that_was_seen() -> None:
    gone, server = remove(A_FOLDER, sabre(204))
    assert gone
    assert server.requests[1].headers["if-match"] == '"e"'


def test_a_folder_that_somebody_removed_meanwhile_is_gone() -> None:
    assert remove(A_FOLDER, sabre(412), GONE)[0]


def test_a_folder_that_changed_meanwhile_stays() -> None:
    other = listing(entry("x", folder=True, etag='"other"'))
    gone, server = remove(A_FOLDER, sabre(412), other)
    assert not gone
    assert len(server.requests) == 3


def test_a_condition_that_is_void_once_is_tried_again_with_the_next() -> None:
    """Apache does not know the etag of the last second's file; that says nothing of others."""
    answers = [A_FOLDER, sabre(412), A_FOLDER, sabre(204), A_FOLDER, sabre(204)]
    server = Server(list(answers))
    with client(server) as dav:
        remover = Remover(dav, DavListing(dav), known(dav))
        assert remover.remove_folder("x")
        assert remover.remove_folder("x")
    conditions = [r.headers.get("if-match") for r in server.requests if r.method == "DELETE"]
    assert conditions == ['"e"', None, '"e"']


def test_a_folder_whose_etag_is_not_compared_goes_after_a_look_alone() -> None:
    server = Server([A_FOLDER, sabre(204)])
    with client(server) as dav:
        assert Remover(dav, DavListing(dav), known(dav), folder_conditions=False).remove_folder("x")
    assert "if-match" not in server.requests[1].headers


def removing(error: BaseException, *answers: httpx.Response | Exception) -> int:
    """Fail within the block; return how many requests the removal took."""
    server = Server(list(answers))
    with client(server) as dav:
        temporaries = Temporaries(dav, DavListing(dav))
        with pytest.raises(type(error)), temporaries.removing("x"):
            raise error
    assert {request.method for request in server.requests} <= {"DELETE"}
    return len(server.requests)


def test_a_temporary_file_is_removed() -> None:
    assert removing(FileAccessError("r"), sabre(204)) == 1
    assert removing(IntegrityError("r"), sabre(204)) == 1
    assert removing(KeyboardInterrupt(), sabre(204)) == 1


def test_a_file_that_the_server_is_about_to_make_is_waited_for() -> None:
    """WsgiDAV may see the end of a connection before it has begun with the upload on it."""
    assert removing(IntegrityError("r"), GONE, GONE, sabre(204)) == 3
    assert removing(IntegrityError("r"), GONE) == 3
    assert removing(FileAccessError("r"), GONE) == 1, "the server refused: there is none"


def test_after_a_refused_login_nothing_is_tried() -> None:
    assert removing(CredentialsError("r"), sabre(204)) == 0


def test_a_file_that_stays_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert removing(FileAccessError("r"), CUT) == 1
    assert "stays" in caplog.text


def test_an_upload_that_vanishes_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "APPEARING", ())
    no_trial = [sabre(403), GONE]
    answers = [*no_trial, sabre(201), GONE, sabre(204)]
    content = b"x"
    storage = WebDavBackend(URL, transport=Server(list(answers)).transport)
    with storage, pytest.raises(IntegrityError, match="vanished"):
        storage.save_with("a", Upload(lambda: io.BytesIO(content), 1), ANYTHING)

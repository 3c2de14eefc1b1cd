"""Web requests: answered from one look at each document, and only when the storage may be used."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from documents.models import Document
from tests.paperless.inside.stores import store

from paperfleet.paperless.activation import MIDDLEWARE, documents
from paperfleet.paperless.documents import looks
from paperfleet.paperless.middleware import document_storage
from paperfleet.paperless.models import Installation

if TYPE_CHECKING:
    from collections.abc import MutableMapping

OURS = "project" in str(importlib.import_module("documents").__file__)


def look(path: Path) -> list[Any]:
    return [path.is_file(), path.exists(), path.stat().st_size, path.is_file()]


def test_the_middleware_is_first() -> None:
    assert settings.MIDDLEWARE[0] == MIDDLEWARE


def test_one_request_looks_once(originals: Path, stored: MutableMapping[str, bytes]) -> None:
    stored["originals/a.pdf"] = b"A"
    answer = document_storage(lambda _: look(originals / "a.pdf"))
    for _ in range(2):
        store.calls.clear()
        assert answer(RequestFactory().get("/")) == [True, True, 1, True]
        assert store.count("stat") == 1
        assert len(store.calls) == 1
    store.calls.clear()
    look(originals / "a.pdf")
    assert store.count("stat") == 4, "outside of a request nothing is remembered"


def test_an_asynchronous_request_looks_once(
    originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    stored["originals/a.pdf"] = b"A"

    async def view(_: object) -> list[Any]:
        await asyncio.sleep(0)
        return look(originals / "a.pdf")

    async def both() -> list[list[Any]]:
        answer = document_storage(view)
        return list(await asyncio.gather(answer(None), answer(None)))

    store.calls.clear()
    assert asyncio.run(both()) == [[True, True, 1, True]] * 2
    assert store.count("stat") == 2, "requests remember apart"


def test_what_a_request_changes_it_sees(
    originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    path, other = originals / "a.pdf", originals / "b.pdf"
    with looks.remembering():
        assert not path.exists()
        path.write_bytes(b"1")
        assert path.stat().st_size == 1
        path.write_bytes(b"12")
        assert path.stat().st_size == 2
        path.rename(other)
        assert (path.exists(), other.exists()) == (False, True)
        other.unlink()
        assert not other.exists()
    assert "originals/b.pdf" not in stored


def test_nothing_is_below_a_free_name_until_something_is(originals: Path) -> None:
    name = originals / "a"
    with looks.remembering():
        assert not name.exists()
        assert not name.is_dir()
        (name / "b" / "c.pdf").write_bytes(b"x")
        assert name.exists()
        assert name.is_dir()
        (name / "b" / "c.pdf").unlink()
        assert not name.exists()


def test_absence_is_remembered_too(originals: Path) -> None:
    with looks.remembering():
        store.calls.clear()
        for _ in range(3):
            assert not (originals / "none.pdf").is_file()
        assert store.count("stat") == 1


def test_a_server_does_not_start_on_a_storage_of_another(
    stored: MutableMapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored["paperfleet.json"] = b'{"database": "another"}'
    monkeypatch.setattr(documents, "is_checked", False)
    with pytest.raises(SystemExit, match=r"paperfleet: memory: belongs to another database"):
        document_storage(lambda _: None)
    with pytest.raises(OSError, match="belongs to another database"):
        (memory_root() / "a.pdf").read_bytes()
    assert Installation.objects.count() == 1


def memory_root() -> Path:
    return Path(settings.ORIGINALS_DIR)


@pytest.mark.skipif(not OURS, reason="its views ask for a user")
def test_downloads(stored: MutableMapping[str, bytes]) -> None:
    stored["originals/ä.pdf"] = b"content"
    document = Document.global_objects.bulk_create([Document(title="t", filename="ä.pdf")])[0]
    client = Client()
    store.calls.clear()
    answer = client.get(f"/documents/{document.pk}/download/")
    assert b"".join(answer) == b"content"
    assert answer["Content-Length"] == "7"
    assert "%C3%A4.pdf" in answer["Content-Disposition"]
    assert store.count("open") == 1
    store.calls.clear()
    assert client.get(f"/documents/{document.pk}/metadata/").json() == {
        "there": True,
        "size": 7,
        "name": "ä.pdf",
    }
    assert len(store.calls) == 1

"""A paperless-ngx in the place of SOURCE: what the settings mean, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from paperfleet.documents.address import server_address
from paperfleet.errors import ConfigurationError
from paperfleet.settings.config import read, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.settings.mirror import MirrorSettings

URL = "https://paperless.example"
TOKEN = "t0ken of this test"
BASE = {"HOME": "/home/alice", "PAPERFLEET_PAPERLESS_TOKEN": TOKEN}


def load(environ: Mapping[str, str], **arguments: object) -> MirrorSettings:
    return settings_of(read(arguments, environ), environ)


def refusal(environ: Mapping[str, str], **arguments: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, **arguments)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("environ", "arguments"),
    [
        ({}, {"paperless": URL, "source": "/dst"}),
        ({"PAPERFLEET_PAPERLESS": URL}, {"source": "/dst"}),
        ({"PAPERFLEET_PAPERLESS": URL, "PAPERFLEET_TARGET": "/dst"}, {}),
        ({"PAPERFLEET_PAPERLESS": URL, "PAPERFLEET_TARGET": "/other"}, {"source": "/dst"}),
        ({"PAPERFLEET_PAPERLESS": URL, "WEBDRIVE_URL": "/dst"}, {}),
        ({"PAPERFLEET_PAPERLESS": URL}, {"source": URL, "target": "/dst"}),
    ],
    ids=["option", "variable", "variables", "the command line wins", "davfs2", "both by position"],
)
def test_the_only_place_that_is_named_is_the_target(
    environ: dict[str, str], arguments: dict[str, object]
) -> None:
    settings = load(BASE | environ, **arguments)
    assert (settings.source, settings.target) == (URL, "/dst")


def test_each_paperless_has_its_journal() -> None:
    journals = {
        load(BASE, paperless=f"{URL}{path}", source=target).journal
        for path in ("", "/docs")
        for target in ("/dst", "/dst2")
    }
    assert len(journals) == 4


def test_two_sources_are_refused() -> None:
    assert "two sources" in refusal(BASE, paperless=URL, source="/src", target="/dst")
    environ = BASE | {"PAPERFLEET_SOURCE": "/src", "PAPERFLEET_TARGET": "/dst"}
    assert "two sources" in refusal(environ, paperless=URL)


def test_a_token_is_needed() -> None:
    text = refusal({"HOME": "/home/alice"}, paperless=URL, source="/dst")
    assert "PAPERFLEET_PAPERLESS_TOKEN_FILE" in text


def test_a_token_in_the_address_is_refused() -> None:
    text = refusal(BASE, paperless="https://alice:secret@paperless.example", source="/dst")
    assert "PAPERFLEET_PAPERLESS_TOKEN_FILE" in text
    assert "secret@" not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://paperless.example/", "https://paperless.example"),
        ("https://paperless.example:443/docs/", "https://paperless.example/docs"),
        ("https://paperless.example/docs/api/", "https://paperless.example/docs"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    assert server_address(url).url == shown


@pytest.mark.parametrize(
    "url",
    [
        "paperless.example",
        "ftp://host",
        "https://",
        "https://host/?a=b",
        "https://host:x",
        "http://host",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        server_address(url)


def test_plain_http_can_be_allowed() -> None:
    assert server_address("http://host", allow_plain_http=True).origin == "http://host"

"""What each status means: the table from HTTP to errors."""

from __future__ import annotations

import pytest

from paperfleet import errors
from paperfleet.storage.dav.answers import MOST_TEXT, Answer, error_of, retry_after

HTML = {"content-type": "text/html; charset=UTF-8"}
XML = {"content-type": "application/xml"}


def body(exception: str, message: str = "why") -> bytes:
    return (
        '<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
        f"<s:exception>{exception}</s:exception><s:message>{message}</s:message></d:error>"
    ).encode()


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (200, "PROPFIND", errors.NotAStorageError),
        (304, "GET", errors.NotAStorageError),
        (400, "PUT", errors.NameRefusedError),
        (401, "PROPFIND", errors.CredentialsError),
        (402, "PUT", errors.QuotaExceededError),
        (403, "PUT", errors.FileAccessError),
        (404, "GET", errors.NotFoundError),
        (405, "MKCOL", errors.AlreadyExistsError),
        (405, "PROPFIND", errors.NotAStorageError),
        (405, "PUT", errors.FileAccessError),
        (407, "PUT", errors.CredentialsError),
        (408, "PUT", errors.UnavailableError),
        (409, "MOVE", errors.NotFoundError),
        (410, "GET", errors.NotFoundError),
        (412, "PUT", errors.PreconditionFailedError),
        (413, "PUT", errors.TooLargeError),
        (414, "PUT", errors.NameRefusedError),
        (415, "PUT", errors.NameRefusedError),
        (416, "GET", errors.IntegrityError),
        (418, "GET", errors.StorageError),
        (423, "PUT", errors.LockedError),
        (425, "PUT", errors.BusyError),
        (429, "PUT", errors.ThrottledError),
        (500, "PUT", errors.UnavailableError),
        (501, "PROPFIND", errors.NotAStorageError),
        (502, "PUT", errors.UnavailableError),
        (503, "PUT", errors.UnavailableError),
        (504, "MOVE", errors.UnavailableError),
        (507, "PUT", errors.QuotaExceededError),
        (599, "PUT", errors.UnavailableError),
    ],
)
def test_status(status: int, method: str, expected: type[errors.StorageError]) -> None:
    error = error_of(
        Answer(status), method=method, operation="save", name="a/b", storage="https://x/"
    )
    assert type(error) is expected
    assert (error.operation, error.name, error.storage) == ("save", "a/b", "https://x/")
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "headers", "content", "expected"),
    [
        (400, HTML, b"<html>Access through untrusted domain</html>", errors.NotAStorageError),
        (400, XML, body("OCA\\DAV\\InvalidPath"), errors.NameRefusedError),
        (500, XML, body("OCP\\Lock\\LockedException"), errors.LockedError),
        (503, XML, body("OCA\\DAV\\Exception\\ServerMaintenanceMode"), errors.MaintenanceError),
        (503, XML, body("X", "System is in maintenance mode."), errors.MaintenanceError),
        (503, {"x-nextcloud-maintenance-mode": "1"}, b"", errors.MaintenanceError),
        (503, XML, body("X", "Account disabled"), errors.CredentialsError),
        (503, XML, body("X", "Something else"), errors.UnavailableError),
        (503, HTML, b"<h1>Service unavailable", errors.UnavailableError),
    ],
)
def test_body(
    status: int, headers: dict[str, str], content: bytes, expected: type[errors.StorageError]
) -> None:
    error = error_of(Answer(status, headers, content), method="PUT", name="a")
    assert type(error) is expected


def test_a_bad_request_without_a_name_is_about_the_address() -> None:
    error = error_of(Answer(400), method="PROPFIND", operation="list")
    assert isinstance(error, errors.NotAStorageError)


def test_a_web_page_is_called_one() -> None:
    error = error_of(Answer(200, HTML, b"<html>Log in"), method="PROPFIND")
    assert "web page" in error.hint


def test_the_servers_reason_is_given_clean_and_short() -> None:
    text = "line\none \x1b[31m &lt;b&gt;" + "x" * 1000
    clean = text.replace("\x1b", " ")
    error = error_of(Answer(415, XML, body("E", clean)), method="PUT", name="a")
    assert "line one" in error.reason
    assert error.reason.isprintable()
    assert len(error.reason) < MOST_TEXT + 100


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<",
        b"no xml",
        b"\xff\xfe",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY e "secret">]><a xmlns:s="http://sabredav.org/ns">'
        b"<s:message>&e;</s:message></a>",
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        b'<a xmlns:s="http://sabredav.org/ns"><s:message>&e;</s:message></a>',
    ],
)
def test_a_body_that_is_no_error_says_nothing(content: bytes) -> None:
    assert Answer(500, {}, content).says == ("", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-5", None),
        ("soon", None),
        ("²", None),
        ("Thu, 01 Jan 1970 00:16:45 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after({"retry-after": text}, now=1000) == expected


@pytest.mark.parametrize("status", [413, 423, 429, 503, 507])
def test_every_error_carries_retry_after(status: int) -> None:
    error = error_of(Answer(status, {"retry-after": "7"}), method="PUT", name="a")
    assert error.retry_after == 7

"""Nextcloud keeps the promises of the protocol: the double always, a real one where it is named.

Set PAPERFLEET_TEST_NEXTCLOUD_URL (the WebDAV address of a folder that tests may fill),
PAPERFLEET_TEST_NEXTCLOUD_USER and PAPERFLEET_TEST_NEXTCLOUD_PASSWORD (an app password).
"""

from __future__ import annotations

import itertools
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote

import httpx
import pytest
from lxml import etree
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.secret import Secret
from paperfleet.storage.nextcloud.backend import NextcloudBackend
from paperfleet.testing.storage_suite import Bypass, FolderBypass, StorageSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = ("URL", "USER", "PASSWORD")
_folders = itertools.count()


class DoubleBypass(FolderBypass):
    """The files of the double, written as somebody else would through the server."""

    def __init__(self, server: NextcloudDouble, folder: str) -> None:
        super().__init__(server.root / folder)
        self._server = server
        self._folder = folder

    def write(self, name: str, content: bytes) -> None:
        self._server.write(f"{self._folder}/{name}", content)


@dataclass(frozen=True)
class Account:
    """A real Nextcloud folder for tests, reached by plain requests.

    ``client`` is one session for all tests: a request without its cookies logs in anew and leaves a
    session file on the server, which makes thousands of them take minutes.
    """

    url: str
    user: str
    password: str
    client: httpx.Client


class RealBypass:
    """A folder of a real Nextcloud by plain requests, without any of the backend's code."""

    def __init__(self, account: Account, folder: str) -> None:
        self._account = account
        self._url = f"{account.url.rstrip('/')}/{folder}/"

    def read(self, name: str) -> bytes:
        answer = self._account.client.get(self._url + quote(name))
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise FileNotFoundError(name)
        return answer.raise_for_status().content

    def write(self, name: str, content: bytes) -> None:
        client = self._account.client
        answer = client.put(self._url + quote(name), content=content)
        if answer.status_code == httpx.codes.NOT_FOUND:
            url = self._url
            client.request("MKCOL", url)
            for segment in name.split("/")[:-1]:
                url += quote(segment) + "/"
                client.request("MKCOL", url)
            answer = client.put(self._url + quote(name), content=content)
        answer.raise_for_status()

    def names(self) -> set[str]:
        headers = {"Depth": "infinity"}
        answer = self._account.client.request("PROPFIND", self._url, headers=headers)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return set()
        base = unquote(httpx.URL(self._url).path)
        tree = etree.fromstring(answer.content)
        hrefs = [unquote(element.text or "") for element in tree.iter("{DAV:}href")]
        return {href.removeprefix(base) for href in hrefs if not href.endswith("/")}


def backend(url: str, user: str, password: str, *, bulk: bool = True) -> NextcloudBackend:
    """Return one whose chunks are small, so that the large files of the suite need them."""
    return NextcloudBackend(
        url,
        username=user,
        password=Secret(password),
        chunk_size=500_000,
        chunk_threshold=2_000_000,
        bulk=bulk,
    )


class NextcloudSuite(StorageSuite):
    @pytest.fixture
    def folder(self) -> str:
        return f"root-{next(_folders)}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as server:
        yield server


class TestNextcloudDouble(NextcloudSuite):
    exceptions: ClassVar = {
        "test_readers_see_the_old_or_the_new": "small files are replaced in place, behind a lock "
        "that a real Nextcloud holds for its readers, too, and the double does not"
    }

    @pytest.fixture
    def storage(self, double: NextcloudDouble, folder: str) -> NextcloudBackend:
        return backend(double.url + folder, double.user, double.password)

    @pytest.fixture
    def bypass(self, double: NextcloudDouble, folder: str) -> DoubleBypass:
        return DoubleBypass(double, folder)


class TestNextcloudDoubleWithoutBulk(TestNextcloudDouble):
    @pytest.fixture
    def storage(self, double: NextcloudDouble, folder: str) -> NextcloudBackend:
        return backend(double.url + folder, double.user, double.password, bulk=False)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    names = [f"PAPERFLEET_TEST_NEXTCLOUD_{variable}" for variable in VARIABLES]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no real Nextcloud: {', '.join(missing)} not set")
    url, user, password = (os.environ[name] for name in names)
    with httpx.Client(auth=(user, password), timeout=60) as client:
        yield Account(url, user, password, client)


@pytest.mark.timeout(900)  # 1,200 single requests to a whole server take their time
class TestRealNextcloud(NextcloudSuite):
    @pytest.fixture
    def storage(self, account: Account, folder: str) -> Iterator[NextcloudBackend]:
        url = f"{account.url.rstrip('/')}/{folder}"
        yield backend(url, account.user, account.password)
        account.client.delete(url)

    @pytest.fixture
    def bypass(self, account: Account, folder: str) -> Bypass:
        return RealBypass(account, folder)

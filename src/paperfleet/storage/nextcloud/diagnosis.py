"""What can be looked at on a Nextcloud beside what any WebDAV server has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from paperfleet.diagnosis import Check, not_tried, ok, problem, warning
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.diagnosis import LOGIN, LOGIN_SECONDS, entered
from paperfleet.storage.dav.login import is_app_password
from paperfleet.storage.dav.multistatus import ETAG_ONLY, read_entries
from paperfleet.storage.dav.values import json_of, part_of
from paperfleet.storage.transport.diagnosis import CONNECTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.diagnosis import CheckResult
    from paperfleet.secret import Secret
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.nextcloud.server import Cloud, CloudAddress

SERVER, FAILED_LOGINS, PASSWORD, ABILITIES = "server", "failed logins", "app password", "abilities"
OLDEST_TRIED = 29
"""The oldest version of which anything was measured (docs/reference/requests.md)."""
LONGEST_DELAY = 25.0
"""Seconds, the most there are: an address that waits so long is about to be locked out."""
_ALL = set(range(200, 600))


class CloudChecks:
    """The checks of one Nextcloud."""

    def __init__(
        self, client: DavClient, cloud: Cloud, address: CloudAddress, password: Secret | None
    ) -> None:
        self._client, self._cloud, self._address = client, cloud, address
        self._password = password

    def before_login(self) -> list[Check]:
        """Return what can be asked as nobody, or is known without asking."""
        return [
            Check(SERVER, entered(self._client, self.server), needs=(CONNECTION,)),
            Check(FAILED_LOGINS, entered(self._client, self.failed_logins), needs=(SERVER,)),
            Check(PASSWORD, self.app_password),
        ]

    def after_login(self) -> list[Check]:
        """Return what needs the login."""
        look = entered(self._client, self.abilities)
        return [Check(ABILITIES, look, needs=(LOGIN,), seconds=LOGIN_SECONDS)]

    def server(self) -> Iterator[CheckResult]:
        """Read ``status.php``."""
        path = f"{self._address.base}/status.php"
        request = Request("GET", path, operation="ask", identity="none")
        answer = self._client.ask(request, accept=_ALL)
        told = json_of(answer.body)
        if part_of(told, "code") == 15 or b"trusted domain" in answer.body:
            yield problem(
                "the server does not answer under this host name",
                "Add the host to trusted_domains in Nextcloud's config.php",
            )
            return
        version = part_of(told, "versionstring")
        if not isinstance(version, str) or part_of(told, "installed") is not True:
            yield problem(
                f"what answers there is no Nextcloud (HTTP {answer.status} for status.php)",
                "Check the address: it ends in /remote.php/dav/files/USER/FOLDER",
            )
            return
        yield from self._state(told)
        yield from _version(version)

    @staticmethod
    def _state(told: object) -> Iterator[CheckResult]:
        if part_of(told, "maintenance") is True:
            yield problem("the server is in maintenance mode", "occ maintenance:mode --off")
        if part_of(told, "needsDbUpgrade") is True:
            yield problem("an upgrade of the server was begun and not ended", "occ upgrade")

    def failed_logins(self) -> Iterator[CheckResult]:
        """Ask how long the server lets this address wait, before there is any login."""
        found = self._cloud.ask_capabilities(identity="none")
        delay = part_of(found, "bruteforce", "delay")
        if not isinstance(delay, (int, float)):
            yield not_tried("the server does not tell it")
            return
        seconds = delay / 1000
        remedy = (
            "Find who uses a wrong password from this address (behind a proxy: see trusted_proxies)"
            "; occ security:bruteforce:reset ADDRESS forgets them"
        )
        text = f"after failed logins from this address the server lets it wait for {seconds:g} s"
        if seconds >= LONGEST_DELAY:
            yield problem(f"{text}, and is about to refuse every login", remedy)
        elif seconds:
            yield warning(text, remedy)
        else:
            yield ok("none from this address")

    def app_password(self) -> Iterator[CheckResult]:
        """Look at the form of the password; asks nothing."""
        if not self._password:
            yield problem(
                "no password is set", "Make an app password in Nextcloud under Settings, Security"
            )
        elif is_app_password(self._password):
            yield ok("it has the form of one")
        else:
            yield warning(
                "the password has not the form of an app password: checking the account's own takes"
                " twenty times longer",
                "Make an app password in Nextcloud under Settings, Security",
            )

    def abilities(self) -> Iterator[CheckResult]:
        """Read what the server can do; afterwards its rules for names are known."""
        self._cloud.keeps_versions()  # reads them, and its rules for names
        if self._cloud.capability("files", "versioning") is True:
            yield ok("the app Versions is on: what is overwritten can be restored")
        else:
            yield warning(
                "the app Versions is off: a document that is overwritten is gone",
                "occ app:enable files_versions",
            )
        if self._cloud.capability("files", "undelete") is True:
            yield ok("the app Deleted files is on: what is deleted can be restored")
        else:
            yield warning(
                "the app Deleted files is off: a document that is deleted is gone",
                "occ app:enable files_trashbin",
            )
        if self._cloud.capability("dav", "chunking"):
            yield ok("large files go in chunks")
        else:
            yield problem(
                "the server takes no chunks: large files and overwrites cannot be sent safely",
                "Is it a Nextcloud that is complete, with its app dav?",
            )
        if self._cloud.capability("dav", "bulkupload"):
            yield ok("small files go many at a time")
        else:
            yield warning(
                "the server takes one file at a time: a first sync takes longer",
                "Nextcloud: dav.bulkupload; nothing has to be done",
            )

    def purge(self, folder: str) -> None:
        """Take out of the trash what was deleted of a folder of ours; its names begin as it does.

        Raises ``StorageError``.
        """
        if self._cloud.capability("files", "undelete") is not True:
            return
        request = Request(
            "PROPFIND",
            self._address.trash,
            headers={"Depth": "1", "Content-Type": "application/xml; charset=utf-8"},
            body=lambda: ETAG_ONLY,
        )
        answer = self._client.ask(request, accept={207})
        for entry in read_entries([answer.body], storage=self._address.root.url):
            path = urlsplit(entry.href).path
            if unquote(path.rstrip("/").rpartition("/")[2]).startswith(folder):
                self._client.ask(Request("DELETE", path), accept={200, 204, 404})


def _version(version: str) -> Iterator[CheckResult]:
    major = re.match(r"\d+", version)
    if major and int(major[0]) < OLDEST_TRIED:
        yield warning(
            f"Nextcloud {version} is older than what was ever tried ({OLDEST_TRIED})",
            "Upgrade Nextcloud",
        )
    else:
        yield ok(f"Nextcloud {version}")

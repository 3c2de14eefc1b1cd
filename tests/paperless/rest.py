"""The REST API of paperless-ngx, as a user's program calls it; version 9, which v2 and v3 speak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = Any
"""What the API answers, and takes."""
ADMIN, PASSWORD = "admin", "of this test"
TASK_TIMEOUT = 180.0
_NOT_YET = "<traceback object"
_DONE = {"SUCCESS", "FAILURE", "REVOKED"}


class Rest(httpx.Client):
    """A client with the rights of the superuser; a failed request raises ``httpx.HTTPError``."""

    def __init__(self, url: str, version: tuple[int, int, int]) -> None:
        super().__init__(
            base_url=f"{url}/api/",
            headers={"Accept": "application/json; version=9"},
            timeout=120,
            event_hooks={"response": [_raise]},
        )
        self._version = version
        answer = self.post("token/", data={"username": ADMIN, "password": PASSWORD})
        self.token: str = answer.json()["token"]
        self.headers["Authorization"] = f"Token {self.token}"

    # Tasks

    def task(self, identity: str, *, fails: bool = False, timeout: float = TASK_TIMEOUT) -> Json:
        """Return a task once it is done; it must succeed, or fail."""
        found = self.finished(identity, timeout)
        expected = "FAILURE" if fails else "SUCCESS"
        assert found["status"] == expected, found
        return found

    def finished(self, identity: str, timeout: float = TASK_TIMEOUT) -> Json:
        """Return a task once it is done, however it ended."""
        return self.until(lambda: self._done(identity), f"task {identity}", timeout)

    def _done(self, identity: str) -> Json:
        """Look for it; 2.20 notes a traceback first, and what went wrong a moment later.

        (``documents/signals/handlers.py``: ``task_failure_handler``, then ``task_postrun_handler``)
        """
        tasks = self.get("tasks/", params={"task_id": identity}).json()
        done = (task for task in tasks if task["status"] in _DONE)
        return next((it for it in done if not str(it.get("result")).startswith(_NOT_YET)), None)

    def until(self, look: Callable[[], Json], what: str, timeout: float = TASK_TIMEOUT) -> Json:
        """Return what ``look`` finds, as soon as it is true; fail after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what} took longer than {timeout:.0f} s"
            time.sleep(0.3)
        return found

    # Documents

    def post_document(self, name: str, content: bytes, **fields: Json) -> str:
        """Upload a document; return its task."""
        answer = self.post(
            "documents/post_document/", files={"document": (name, content)}, data=fields
        )
        return str(answer.json())

    def upload(self, name: str, content: bytes, **fields: Json) -> int:
        """Upload a document and wait for it; return its number."""
        return int(self.task(self.post_document(name, content, **fields))["related_document"])

    def document(self, number: int) -> Json:
        """Return a document's record."""
        return self.get(f"documents/{number}/").json()

    def metadata(self, number: int) -> Json:
        """Return what paperless-ngx says of a document's files."""
        return self.get(f"documents/{number}/metadata/").json()

    def documents(self, **query: Json) -> list[Json]:
        """Return the records of all documents, or of those that a query finds."""
        answer = self.get("documents/", params={"page_size": 1000, **query})
        found: list[Json] = answer.json()["results"]
        return found

    def download(self, number: int, *, original: bool = True, **more: Json) -> httpx.Response:
        """Download a document."""
        query = {"original": "true"} if original else {}
        return self.get(f"documents/{number}/download/", params=query, **more)

    def bulk_edit(self, method: str, documents: list[int], **parameters: Json) -> None:
        """Change documents; most methods go on in a task."""
        self.post(
            "documents/bulk_edit/",
            json={"documents": documents, "method": method, "parameters": parameters},
        )

    def wait_for_documents(self, number: int) -> list[Json]:
        """Return all documents once there are so many."""

        def look() -> list[Json]:
            found = self.documents()
            return found if len(found) >= number else []

        found: list[Json] = self.until(look, f"for {number} documents")
        assert len(found) == number
        return found

    def wait_until_idle(self, timeout: float = TASK_TIMEOUT) -> None:
        """Return once no task waits or runs."""

        def look() -> bool:
            return all(task["status"] in _DONE for task in self.get("tasks/").json())

        self.until(look, "for all tasks", timeout)


def _raise(response: httpx.Response) -> None:
    if response.is_error:
        response.read()
        raise httpx.HTTPStatusError(
            f"{response.request.method} {response.url}: {response.status_code}"
            f" {response.text[:2000]}",
            request=response.request,
            response=response,
        )

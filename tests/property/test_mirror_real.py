"""The random histories of the mirror on a real Nextcloud, where one is named (CONTRIBUTING.md).

Requests fail, are cut and end with the mirror's death as with the double; only what happens in the
middle of a body cannot be made to happen here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.integration.conftest import REAL, real_place
from tests.property.test_mirror_machine import (
    METHODS,
    STATUSES,
    Life,
    MirrorMachine,
    MortalTransport,
)

from paperfleet.secret import Secret
from paperfleet.storage.nextcloud.backend import NextcloudBackend
from paperfleet.storage.transport.exchange import CutOffError, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.mirror_places import RealPlace

    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.transport.exchange import HttpRequest

pytestmark = [
    pytest.mark.property,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        not all(REAL), reason="no real Nextcloud: PAPERFLEET_TEST_NEXTCLOUD_… not set"
    ),
]
EXAMPLES = int(os.environ.get("PAPERFLEET_TEST_REAL_EXAMPLES", "5"))


class Unlucky(MortalTransport):
    """A transport of which the next requests of some methods fail."""

    def __init__(self, life: Life, url: str, faults: list[tuple[str, int | str]]) -> None:
        super().__init__(life, url)
        self._faults = faults

    def send(self, request: HttpRequest) -> HttpResponse:
        fault = next((f for f in self._faults if f[0] == request.method), None)
        if fault is None:
            return super().send(request)
        self._faults.remove(fault)
        if isinstance(fault[1], int):
            return HttpResponse(fault[1], {})
        if fault[1] == "after":
            super().send(request).close()
        raise CutOffError("cut by the test", sent=True)


class RealMachine(MirrorMachine):
    """The machine on a folder of a real Nextcloud."""

    place: RealPlace

    def clear_target(self) -> None:
        self.faults: list[tuple[str, int | str]] = []
        for name in {n.partition("/")[0] for n in [*self.place.tree(), *self.all_folders()]}:
            self.place.delete(name)

    def all_folders(self) -> set[str]:
        return self.place.folders() or set()

    def there(self) -> dict[str, bytes]:
        return self.place.tree()

    def put_there(self, name: str, content: bytes, mtime: int | None = None) -> None:
        del mtime
        self.place.write(name, content)

    def remove_there(self, name: str) -> None:
        self.place.delete(name)

    @rule(method=METHODS, status=STATUSES)
    def fault(self, method: str, status: int) -> None:
        self.faults.append((method, status))

    @rule(method=METHODS, cut=st.sampled_from(["before", "after"]))
    def cut(self, method: str, cut: Any) -> None:  # noqa: ANN401  # as the machine has it
        self.faults.append((method, cut))

    def target(self, life: Life) -> DocumentStorage:
        server = self.place.server
        return NextcloudBackend(
            server.url,
            username=server.user,
            password=Secret(server.password),
            transport=Unlucky(life, server.url, self.faults),
        )

    def quiet(self) -> None:
        self.faults.clear()

    def account(self) -> str:
        there = sorted(self.place.tree()), sorted(self.all_folders())
        return f"{self.events}\nsource: {self.files()}\ntarget: {there}"

    def check_nothing_lost(self, there: dict[str, bytes]) -> None:
        """Leave it: what was overwritten is a version, or in the trash with its name."""


@pytest.fixture
def place() -> Iterator[RealPlace]:
    with real_place() as place:
        yield cast("RealPlace", place)


def test_it_always_converges(place: RealPlace) -> None:
    RealMachine.place = place
    test = RealMachine.TestCase
    test.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    test("runTest").runTest()

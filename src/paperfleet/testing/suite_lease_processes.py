"""The lease suite across processes: killed, stopped, forked, and counting together."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import pytest

from paperfleet.errors import LeaseTimeoutError
from paperfleet.testing.leaseholder import Holder
from paperfleet.testing.suite_leases import LeaseSuiteBase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.locks.protocol import LeaseStore

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where a counter is fast; made with a name of its own


class LeaseProcessesSuite(LeaseSuiteBase):
    """Several processes."""

    processes: ClassVar[int] = 8
    increments: ClassVar[int] = 2000

    @pytest.fixture
    def holder(self, address: str, name: str) -> Iterator[Holder]:
        """Yield another process."""
        with Holder(self.opener, address, name, self.ttl) as holder:
            yield holder

    def test_a_killed_holder_is_succeeded_within_its_time(
        self, store: LeaseStore, holder: Holder, name: str
    ) -> None:
        generation = holder.acquire()
        with pytest.raises(LeaseTimeoutError):
            self.take(store, name)
        killed = holder.kill()
        with self.take(store, name, timeout=60) as lease:
            assert time.monotonic() - killed < self.ttl + self.slack
            assert lease.generation > generation

    def test_a_stopped_holder_learns_of_its_loss_before_it_writes(
        self, store: LeaseStore, holder: Holder, name: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "written"
        generation = holder.acquire()
        assert holder.tell("write", file, "before") == "written"
        holder.stop()
        stopped = time.monotonic()
        with self.take(store, name, timeout=60) as lease:
            assert time.monotonic() - stopped < self.ttl + self.slack
            assert lease.generation > generation
            holder.begin("write", file, "after")
            holder.go_on()
            assert holder.answer() == "lost"
            assert file.read_text(encoding="utf-8") == "before\n"
            assert holder.tell("check") == "lost"
            assert holder.tell("release") == "released"
            lease.confirm()
        assert holder.acquire() > lease.generation

    def test_a_holder_that_is_stopped_briefly_keeps_it(
        self, store: LeaseStore, holder: Holder, name: str
    ) -> None:
        holder.acquire()
        for _ in range(5):
            holder.stop()
            time.sleep(self.ttl / 4)
            holder.go_on()
            time.sleep(self.ttl / 4)
        assert holder.tell("confirm") == "held"
        with pytest.raises(LeaseTimeoutError):
            self.take(store, name)

    def test_a_forked_process_does_not_hold_it(self, store: LeaseStore, name: str) -> None:
        with self.take(store, name) as lease:
            answer = _in_a_fork(lambda: _try_in_a_fork(self, store, name, lease.held))
            assert answer == "not held, refused"
            lease.confirm()

    def test_processes_count_together(self, address: str, name: str) -> None:
        with _counting_folder() as folder, contextlib.ExitStack() as stack:
            counter = Path(folder, "counter")
            counter.write_text("0", encoding="ascii")
            holders = [
                stack.enter_context(Holder(self.opener, address, name, 10.0))
                for _ in range(self.processes)
            ]
            for holder in holders:
                holder.begin("count", counter, self.increments // self.processes)
            assert [holder.answer(110) for holder in holders] == ["counted"] * len(holders)
            assert int(counter.read_text(encoding="ascii")) == self.increments
            seen = [int(line) for line in Path(f"{counter}.generations").read_text().split()]
            assert len(seen) == self.increments
            assert seen == sorted(set(seen))


def _try_in_a_fork(
    suite: LeaseSuiteBase, store: LeaseStore, name: str, held: Callable[[], bool]
) -> str:
    said = "held" if held() else "not held"
    try:
        suite.take(store, name)
    except LeaseTimeoutError:
        return f"{said}, refused"
    return f"{said}, granted"


def _in_a_fork(work: Callable[[], str]) -> str:
    """Return what ``work`` returns in a child after fork(2), which ends without cleaning up."""
    reading, writing = os.pipe()
    child = _fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(child, 0)
    return answer


def _fork() -> int:
    import warnings  # noqa: PLC0415  # nowhere else

    with warnings.catch_warnings():
        # Python 3.12 warns of a fork in a process with threads, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _counting_folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None)

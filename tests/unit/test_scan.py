"""Reading a source file for its hash: what counts as changed meanwhile."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from paperfleet.mirror.scan import hashed
from paperfleet.storage.full import full
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.testing.faults import FaultyStorage

if TYPE_CHECKING:
    from paperfleet.model import FileStat

DIGEST = hashlib.sha256(b"content").hexdigest()


class Vouching(MemoryBackend):
    """Knows the hash when it is asked for one file, as a bucket does, and not when it lists."""

    def stat(self, name: str) -> FileStat:
        return super().stat(name)._replace(sha256=DIGEST)


def test_a_hash_that_only_one_of_two_looks_has_is_no_change() -> None:
    with Vouching() as source:
        source.files["a.pdf"] = b"content"
        listed = next(iter(source.list_stats()))
        assert listed.sha256 is None
        assert hashed(full(source), listed) == listed._replace(sha256=DIGEST)


def test_a_file_that_changes_or_goes_while_it_is_read_is_none() -> None:
    with MemoryBackend() as memory:
        memory.files["a.pdf"] = b"content"
        listed = next(iter(memory.list_stats()))

        def change(call: object) -> None:
            if "open" in str(call):
                memory.files["a.pdf"] = b"another"

        assert hashed(full(FaultyStorage(memory, after=change)), listed) is None
        memory.delete("a.pdf")
        assert hashed(full(memory), listed) is None

"""What a storage claims about getting bytes from one place to another."""

from __future__ import annotations

import io
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import AlreadyExistsError, InvalidNameError, NotFoundError
from paperfleet.model import ABSENT
from paperfleet.testing.suite_base import SuiteBase, claims, get, put, upload
from paperfleet.testing.suite_files import MEGABYTES
from paperfleet.testing.suite_threads import at_once

if TYPE_CHECKING:
    from paperfleet.storage.wrappers.base import EveryAbility
    from paperfleet.testing.bypass import Bypass


class TransfersSuite(SuiteBase):
    """See ``StorageSuite``."""

    @pytest.mark.parametrize("size", [0, 5, 8_000_000])
    def test_copy(self, able: EveryAbility, bypass: Bypass, size: int) -> None:
        claims(able, "copy")
        put(able, "a/ü #%.pdf", MEGABYTES[:size])
        able.copy("a/ü #%.pdf", "new/b")
        assert bypass.names() == {"a/ü #%.pdf", "new/b"}
        assert bypass.read("new/b") == bypass.read("a/ü #%.pdf") == MEGABYTES[:size]
        able.delete("a/ü #%.pdf")
        assert get(able, "new/b") == MEGABYTES[:size]

    def test_copy_keeps_what_is_there(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "copy")
        put(able, "a", b"one")
        put(able, "b", b"two")
        for new in ("a", "b"):
            with pytest.raises(AlreadyExistsError):
                able.copy("a", new)
        with pytest.raises(NotFoundError):
            able.copy("missing", "c")
        with pytest.raises(InvalidNameError):
            able.copy("a", "../c")
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"one", "b": b"two"}

    @pytest.mark.parametrize("size", [0, 5, 8_000_000])
    def test_what_was_begun_is_moved(self, able: EveryAbility, bypass: Bypass, size: int) -> None:
        claims(able, "move_in_two")
        put(able, "a/ü #%.pdf", MEGABYTES[:size])
        begun = able.begin_move("a/ü #%.pdf", "new/b")
        assert (begun.file.name, begun.file.size) == ("a/ü #%.pdf", size)
        assert list(able.list_files()) == ["a/ü #%.pdf"]
        able.end_move(begun)
        able.leave_move(begun)
        assert bypass.names() == {"new/b"}
        assert bypass.read("new/b") == MEGABYTES[:size]

    def test_what_was_begun_keeps_what_is_there(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "move_in_two")
        put(able, "a", b"one")
        put(able, "b", b"one")
        with pytest.raises(AlreadyExistsError):
            able.end_move(able.begin_move("a", "b"))
        with pytest.raises(NotFoundError):
            able.begin_move("missing", "c")
        with pytest.raises(InvalidNameError):
            able.begin_move("a", "../c")
        able.leave_move(able.begin_move("a", "c"))
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"one", "b": b"one"}
        able.move("a", "c")
        put(able, "missing", b"two")
        able.move("missing", "d")
        assert bypass.names() == {"b", "c", "d"}

    def test_presigned_url_needs_no_password(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "presign")
        bypass.write("a/ü #%.pdf", b"bytes")
        url = able.presigned_url("a/ü #%.pdf", 60)
        assert url.startswith(("http://", "https://"))
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (just asserted)
            assert answer.read() == b"bytes"
        with pytest.raises(InvalidNameError):
            able.presigned_url("../a")

    def test_one_of_many_creates(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with")
        able.save_with("first", upload(b"tries it out"), ABSENT)
        able.delete("first")
        claims(able, "conditional_create")
        created: list[int] = []
        lock = threading.Lock()

        def work(number: int) -> None:
            try:
                able.save_with("a", upload(f"{number}".encode()), ABSENT)
            except AlreadyExistsError:
                return
            with lock:
                created.append(number)

        at_once(work)
        assert len(created) == 1
        assert bypass.read("a") == f"{created[0]}".encode()

    def test_reading_here_and_there(self, able: EveryAbility, bypass: Bypass) -> None:
        bypass.write("a", MEGABYTES)
        with able.open("a") as stream:
            for at in (7_999_990, 3, 4_000_000, 4_000_100, 1_048_570, 0, 2_500_000):
                assert stream.seek(at) == at
                assert stream.read(20) == MEGABYTES[at : at + 20]
                assert stream.tell() == min(at + 20, len(MEGABYTES))
            assert stream.seek(9_000_000) == 9_000_000
            assert stream.read(1) == b""
            stream.seek(-100_000, io.SEEK_END)
            assert stream.read() == MEGABYTES[-100_000:]

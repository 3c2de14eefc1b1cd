"""Names: which are refused before anything is touched, and that all others come back."""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import InvalidNameError, NameRefusedError
from paperfleet.storage.full import full
from paperfleet.testing.suite_base import SuiteBase, get, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.testing.bypass import Bypass

INVALID = [
    "",
    "/",
    "/absolute",
    "..",
    "../outside",
    "a/../../outside",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
]
INVALID_PREFIXES = ["/absolute", "..", "../", "a/../..", "a//b", "./a", "a\0"]

ORDINARY = [
    "invoice.pdf",
    "2024/acme/invoice 12.pdf",
    "Müller & Söhne/Rechnung #7.pdf",
    "100% sicher?.txt",
    "a%41b",
    "a%2Fb",
    "a%20b+c",
    "semi;colon=1,2@x!~$'()",
    "日本語/契約書.pdf",
    "emoji 📄.pdf",
    "[brackets] {braces}.txt",
    "-dash",
    ".hidden",
    "no-extension",
    "a.tar.gz",
    "e\u0301te\u0301 decomposed.pdf",
    "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t.txt",
    "x" * 200,
]
"""Names that a storage of documents has to take."""

AWKWARD = [
    "new\nline",
    "tab\tand\x01control",
    "back\\slash",
    "trailing dot.",
    "trailing space ",
    " leading space",
    'star*colon:quote"less<more>pipe|',
    "con",
    "right\u202eto left",
    "\udcff not UTF-8",
    "y" * 255,
    "ü" * 127,
]
"""Names that a storage may refuse, yet must not change or half store."""


class NamesSuite(SuiteBase):
    """See ``StorageSuite``."""

    @pytest.mark.parametrize("name", INVALID)
    def test_invalid_name_is_refused_before_anything_is_touched(
        self, store: DocumentStorage, bypass: Bypass, name: str
    ) -> None:
        bypass.write("a/b", b"safe")
        operations: dict[str, Callable[[], object]] = {
            "open": lambda: store.open(name),
            "save": lambda: put(store, name),
            "delete": lambda: store.delete(name),
            "exists": lambda: store.exists(name),
            "size": lambda: store.size(name),
            "move from": lambda: store.move(name, "new"),
            "move to": lambda: store.move("a/b", name),
        }
        for operation, call in operations.items():
            with pytest.raises(InvalidNameError):
                pytest.fail(f"{operation} gave {call()!r}")
        assert bypass.names() == {"a/b"}
        assert bypass.read("a/b") == b"safe"

    @pytest.mark.parametrize("prefix", INVALID_PREFIXES)
    def test_invalid_prefix_is_refused(self, store: DocumentStorage, prefix: str) -> None:
        with pytest.raises(InvalidNameError):
            list(store.list_files(prefix))

    def test_content_is_not_read_for_an_invalid_name(self, store: DocumentStorage) -> None:
        content = io.BytesIO(b"unread")
        with pytest.raises(InvalidNameError):
            store.save("../x", content)
        assert content.tell() == 0

    @pytest.mark.parametrize("name", ORDINARY)
    def test_ordinary_name_comes_back(self, store: DocumentStorage, name: str) -> None:
        _round_trip(store, name)

    @pytest.mark.parametrize("name", AWKWARD)
    def test_awkward_name_comes_back_or_is_refused(
        self, store: DocumentStorage, bypass: Bypass, name: str
    ) -> None:
        try:
            _round_trip(store, name)
        except NameRefusedError:
            assert bypass.names() == set()

    def test_saved_name_is_the_one_on_the_storage(
        self, store: DocumentStorage, bypass: Bypass
    ) -> None:
        used = put(store, "Ordner ä/Datei ß #1.pdf", b"bytes")
        assert bypass.names() == {used}
        assert bypass.read(used) == b"bytes"

    def test_two_unicode_forms(self, store: DocumentStorage) -> None:
        composed, decomposed = (unicodedata.normalize(form, "é.pdf") for form in ("NFC", "NFD"))
        used = {put(store, composed, b"composed"), put(store, decomposed, b"decomposed")}
        assert set(store.list_files()) == used
        if full(store).capabilities.unicode_form is None:
            assert used == {composed, decomposed}
            assert get(store, composed) == b"composed"
        else:
            assert used == {composed}
        assert get(store, decomposed) == b"decomposed"

    def test_two_cases(self, store: DocumentStorage) -> None:
        put(store, "Letter.pdf", b"upper")
        put(store, "letter.pdf", b"lower")
        names = list(store.list_files())
        if full(store).capabilities.case_sensitive:
            assert names == ["Letter.pdf", "letter.pdf"]
            assert get(store, "Letter.pdf") == b"upper"
        else:
            assert len(names) == 1
        assert get(store, "letter.pdf") == b"lower"

    def test_similar_names_are_different_files(self, store: DocumentStorage) -> None:
        names = ["a", "a ", "a.", "a+b", "a b", "a%20b", "a%2520b", "aä", "aa"]
        kept = {}
        for name in names:
            try:
                kept[put(store, name, name.encode())] = name.encode()
            except NameRefusedError:
                continue
        assert {name: get(store, name) for name in store.list_files()} == kept


def _round_trip(store: DocumentStorage, name: str) -> None:
    content = b"content of " + name.encode("utf-8", "surrogateescape")
    used = put(store, name, content)
    assert list(store.list_files()) == [used]
    assert store.exists(name)
    assert get(store, name) == get(store, used) == content
    assert store.size(name) == len(content)
    store.move(name, "elsewhere/plain")
    assert not store.exists(name)
    store.move("elsewhere/plain", name)
    assert get(store, name) == content
    store.delete(name)
    assert list(store.list_files()) == []

"""The first sync: into targets in any state, of files with any name."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import MemoryPlace, ServerPlace

from paperfleet.mirror.events import Planned, Synced
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from pathlib import Path

SOME = {"a.pdf": b"one", "folder/b.pdf": b"two", "folder/deep/c.pdf": b"three"}
NFC, NFD = "über/Ämter.pdf", unicodedata.normalize("NFD", "über/Ämter.pdf")
ODD = {
    "trailing dot.": b"1",
    "trailing space ": b"2",
    " leading space": b"3",
    "what#?%&+;.pdf": b"4",
    "100%25 sure.pdf": b"5",
    "a 'quoted' \"name\".pdf": b"6",
    "[brackets] {and} (more).pdf": b"7",
    "~tilde$dollar!.pdf": b"8",
    "日本語/ファイル.pdf": b"9",
    "emoji 🎉.pdf": b"10",
    "folder./in it.pdf": b"11",
    "hash#folder/what?.pdf": b"12",
    ".hidden": b"13",
    "CON": b"14",
    "a:b*c|d<e>.pdf": b"15",
    "..more dots": b"16",
}
CONTROL = {
    "new\nline.pdf": b"1",
    "tab\there.pdf": b"2",
    "bell\x07.pdf": b"3",
    "back\\slash.pdf": b"4",
}


def test_into_an_empty_target(rig: Rig) -> None:
    rig.write(SOME)
    rig.sync()
    assert sorted(rig.done()) == [f"created {name}" for name in sorted(SOME)]
    assert rig.seen(Planned)[0].sends == 3
    assert rig.seen(Synced)[0].counts == {"created": 3}


def test_of_an_empty_source(rig: Rig) -> None:
    rig.put_foreign({"theirs.txt": b"not ours", "f/theirs.txt": b"nor this"})
    rig.sync()
    assert not rig.tap.sent


def test_into_a_half_filled_target(rig: Rig) -> None:
    rig.write(SOME)
    rig.place.write("a.pdf", SOME["a.pdf"])
    rig.put_foreign({"folder/theirs.pdf": b"two", "other/theirs.pdf": b"three"})
    rig.sync()
    assert sorted(rig.tap.sent) == ["folder/b.pdf", "folder/deep/c.pdf"]
    assert rig.counts() == {"adopted": 1, "created": 2}


def test_adopts_what_is_identical_without_sending_it(rig: Rig) -> None:
    files = rig.tree(30)
    rig.write(files)
    for name, content in files.items():
        rig.place.write(name, content)
    rig.sync()
    assert rig.tap.sent == []
    assert rig.counts() == {"adopted": 30}


def test_what_is_outdated_is_replaced_and_theirs_is_kept(rig: Rig) -> None:
    rig.write(SOME)
    rig.place.write("a.pdf", b"uno")
    rig.place.write("folder/b.pdf", b"something longer than two")
    rig.once()
    kept = [event.new_name for event in rig.seen_done("set aside") if event.new_name]
    if rig.keeps_versions:
        assert kept == []
        assert rig.was_kept("a.pdf", b"uno")
        assert rig.was_kept("folder/b.pdf", b"something longer than two")
    else:
        assert len(kept) == 2
        contents = sorted(rig.place.tree()[name] for name in kept)
        assert contents == [b"something longer than two", b"uno"]
        rig.foreign = {name: rig.place.tree()[name] for name in kept}
    rig.check()
    rig.sync()
    assert rig.done() == []


def test_what_is_foreign_can_be_overwritten(disk: Rig) -> None:
    disk.options["set_aside"] = False
    disk.write(SOME)
    disk.place.write("a.pdf", b"uno")
    disk.sync()
    assert disk.counts() == {"created": 2, "updated": 1}


def test_adopting_by_time_reads_nothing(rig: Rig) -> None:
    rig.write(SOME)
    rig.sync()
    if not rig.keeps_modified:
        pytest.skip("this server keeps no times")
    rig.journal.unlink()
    rig.options["adopt"] = "mtime"
    rig.sync()
    assert rig.counts() == {"adopted": 3}
    assert rig.tap.count("open", "content_sha256", "save_with", "save_batch") == 0


def test_without_its_journal_everything_is_adopted(rig: Rig) -> None:
    rig.write(rig.tree(20))
    rig.sync()
    rig.journal.unlink()
    rig.sync()
    assert rig.counts() == {"adopted": 20}
    assert rig.tap.sent == []


def test_300_files(rig: Rig) -> None:
    rig.write(rig.tree(300))
    rig.sync()
    assert rig.counts() == {"created": 300}
    rig.sync()
    assert rig.tap.sent == []


def test_empty_files_and_deep_folders(rig: Rig) -> None:
    deep = "/".join(f"level {n}" for n in range(25))
    rig.write({"empty": b"", f"{deep}/empty too": b"", f"{deep}/full": b"x"})
    rig.sync()


def test_into_slow_servers(far_rig: Rig) -> None:
    rig = far_rig
    if rig.place.kind == "nginx":  # it would never list them
        rig.absent = {name for name in ODD if name.startswith(".")}
    files = rig.tree(20)
    rig.write(SOME | files | ODD)
    for name in list(files)[:10]:
        rig.place.write(name, files[name])
    rig.put_foreign({"folder/theirs.pdf": b"two", "other/theirs.pdf": b"three"})
    rig.sync()
    arrived = len(SOME) + len(ODD) - len(rig.absent)
    assert rig.counts() == {"adopted": 10, "created": 10 + arrived}
    assert rig.quarantined().keys() == rig.absent
    rig.journal.unlink()
    rig.sync()
    assert set(rig.tap.sent) == rig.absent


def test_odd_names(rig: Rig) -> None:
    rig.write(ODD)
    # WsgiDAV takes '?' and ';' in a destination for the end of the name.
    rig.absent = {name for name in ODD if rig.place.kind == "wsgidav" and set("?;") & set(name)}
    rig.sync()
    assert rig.quarantined().keys() == rig.absent
    rig.sync()
    assert rig.done() == []


def test_unicode_names_in_both_forms(rig: Rig) -> None:
    rig.write({NFC: b"composed"})
    other = NFD.replace("pdf", "txt")
    rig.write({other: b"decomposed"})
    rig.sync()
    rig.sync()
    assert rig.done() == []


def test_two_names_that_are_one_to_the_target(rig: Rig) -> None:
    rig.write({NFC: b"composed", NFD: b"decomposed", "other.pdf": b"x"})
    rig.once()
    rig.absent = set(rig.quarantined())
    rig.check()
    assert len(rig.absent) == (rig.target_name(NFC) == rig.target_name(NFD))
    assert all("takes it for" in reason for reason in rig.quarantined().values())


def test_control_characters_and_backslashes(rig: Rig) -> None:
    rig.write(CONTROL | SOME)
    rig.once()
    rig.absent = set(rig.quarantined())
    if rig.to_nextcloud:
        assert rig.absent == CONTROL.keys()
    elif rig.place.kind == "local":
        assert rig.absent == set()
    rig.check()
    assert rig.absent <= CONTROL.keys()
    # The reason is the server's own, or says what it makes of the character.
    assert all(("name" in r or "misreads" in r) for r in rig.quarantined().values())


def test_a_name_longer_than_the_server_takes(rig: Rig) -> None:
    longest = "n" * 251 + ".pdf"
    rig.write({longest: b"long", **SOME})
    rig.once()
    rig.absent = set(rig.quarantined())
    assert rig.absent == ({longest} if rig.to_nextcloud else set())
    rig.check()


def test_names_up_to_what_nextcloud_takes(cloud: Rig) -> None:
    cloud.write({f"{'n' * (length - 4)}.pdf": b"%d" % length for length in (226, 227, 228, 250)})
    cloud.sync()
    assert cloud.quarantined() == {}


def test_names_that_are_not_utf8_are_told_and_left_out(rig: Rig) -> None:
    rig.write(SOME)
    rig.write({os.fsdecode(b"caf\xe9.pdf"): b"latin", os.fsdecode(b"d\xe9p\xf4t/in.pdf"): b"below"})
    rig.absent = {n for n in rig.source_names() if "\udce9" in n}
    rig.sync()
    assert rig.quarantined().keys() == {"caf\\udce9.pdf", "d\\udce9p\\udcf4t"}


def test_names_that_differ_only_by_case(tmp_path: Path, quick: None) -> None:
    del quick
    rig = Rig(tmp_path, MemoryPlace(MemoryBackend(case_sensitive=False)))
    rig.write({"Invoice.pdf": b"upper", "invoice.pdf": b"lower", "other.pdf": b"x"})
    rig.once()
    (absent,) = rig.quarantined()
    assert absent in {"Invoice.pdf", "invoice.pdf"}
    rig.absent = {absent}
    rig.check()
    rig.path("invoice.pdf" if absent == "Invoice.pdf" else "Invoice.pdf").unlink()
    rig.absent = set()
    rig.sync()
    rig.path(absent).rename(rig.path(absent.swapcase()))
    rig.sync()
    assert rig.tap.sent == []


def test_a_target_folder_that_is_not_there_yet(tmp_path: Path, cloud: Rig) -> None:
    assert isinstance(cloud.place, ServerPlace)
    rig = Rig(tmp_path / "below", ServerPlace(cloud.place.server, "Archive"))
    rig.write(SOME)
    rig.sync()
    assert cloud.place.tree().keys() == {f"Archive/{name}" for name in SOME}

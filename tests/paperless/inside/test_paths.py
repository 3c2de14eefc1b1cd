"""``StoragePath`` beside ``pathlib.Path``: each method in a mount, outside of one, and above."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import InvalidNameError, UnavailableError
from paperfleet.paperless.documents import active
from paperfleet.paperless.documents.mounts import Mount
from paperfleet.paperless.documents.paths import StoragePath

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

TREE = {
    "a.pdf": b"A",
    "folder/b.txt": "zeile\nä\n".encode(),
    "folder/deep/c.pdf": b"C" * 70_000,
    "folder/deep/.hidden": b"",
    "é 😀/d.pdf": b"D",
}
Operation = "Callable[[Path], object]"


@pytest.fixture
def inside(originals: Path, stored: MutableMapping[str, bytes]) -> Path:
    for name, content in TREE.items():
        stored[f"originals/tree/{name}"] = content
    return originals / "tree"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, content in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return StoragePath(root)


def outcome(operation: Callable[[Path], object], root: Path) -> object:
    """Return what came of it, with paths relative to the root."""
    try:
        result = operation(root)
    except (OSError, ValueError) as error:
        return "ValueError" if isinstance(error, ValueError) else f"OSError {error.errno}"
    return _plain(result, root)


def _plain(result: object, root: Path) -> object:
    if isinstance(result, Path):
        assert isinstance(result, StoragePath)
        return result.relative_to(root).as_posix() if result.is_relative_to(root) else str(result)
    if isinstance(result, os.stat_result):
        return stat.S_IFMT(result.st_mode), result.st_size if stat.S_ISREG(result.st_mode) else 0
    if isinstance(result, set | list | tuple):
        return sorted(str(_plain(one, root)) for one in result)
    return result


def content(root: Path) -> list[tuple[str, bytes]]:
    place = active.place_of(root)
    if place is not None:
        before = f"originals/{place.name}/"
        return sorted(
            (name.removeprefix(before), data)
            for name, data in memory.files.items()
            if name.startswith(before)
        )
    return sorted(
        (os.path.relpath(f"{folder}/{name}", str(root)), Path(folder, name).read_bytes())
        for folder, _, names in os.walk(str(root))
        for name in names
    )


def _written(root: Path, mode: str, text: str | bytes) -> object:
    encoding = None if "b" in mode else "utf-8"
    with (root / "a.pdf").open(mode, encoding=encoding) as stream:
        stream.write(text)
    return (root / "a.pdf").read_bytes()


def _touched(root: Path) -> object:
    (root / "new.txt").touch()
    (root / "a.pdf").touch(0o666)
    return (root / "new.txt").read_bytes()


OPERATIONS: dict[str, list[Callable[[Path], object]]] = {
    "stat": [
        lambda r: (r / "a.pdf").stat(),
        lambda r: (r / "folder/deep/c.pdf").stat(follow_symlinks=False),
        lambda r: (r / "folder").stat(),
        lambda r: (r / "none").stat(),
        lambda r: r.stat(),
    ],
    "lstat": [lambda r: (r / "a.pdf").lstat(), lambda r: (r / "none").lstat()],
    "exists": [
        lambda r: (r / "a.pdf").exists(),
        lambda r: (r / "folder").exists(),
        lambda r: (r / "fold").exists(),
        lambda r: (r / "a.pdf" / "x").exists(),
        lambda r: (r / "n\0l").exists(),
        lambda r: (r / "é 😀/d.pdf").exists(),
    ],
    "is_file": [
        lambda r: (r / "a.pdf").is_file(),
        lambda r: (r / "folder").is_file(),
        lambda r: (r / "none").is_file(),
        lambda r: (r / "n\0l").is_file(),
    ],
    "is_dir": [
        lambda r: (r / "a.pdf").is_dir(),
        lambda r: (r / "folder").is_dir(),
        lambda r: (r / "none").is_dir(),
        lambda r: (r / "n\0l").is_dir(),
        lambda r: sorted((one.name, one.is_dir()) for one in (r / "folder").iterdir()),
    ],
    "is_symlink": [lambda r: (r / "a.pdf").is_symlink(), lambda r: (r / "none").is_symlink()],
    "is_mount": [lambda r: (r / "folder").is_mount(), lambda r: (r / "none").is_mount()],
    "is_junction": [lambda r: sys.version_info >= (3, 12) and (r / "folder").is_junction()],
    "is_block_device": [lambda r: (r / "a.pdf").is_block_device()],
    "is_char_device": [lambda r: (r / "a.pdf").is_char_device()],
    "is_fifo": [lambda r: (r / "a.pdf").is_fifo(), lambda r: (r / "none").is_fifo()],
    "is_socket": [lambda r: (r / "a.pdf").is_socket()],
    "owner": [lambda r: (r / "a.pdf").owner(), lambda r: (r / "none").owner()],
    "group": [lambda r: (r / "a.pdf").group()],
    "samefile": [
        lambda r: (r / "a.pdf").samefile(r / "folder/../a.pdf"),
        lambda r: (r / "a.pdf").samefile(str(r / "folder/b.txt")),
        lambda r: (r / "a.pdf").samefile("/etc/hostname"),
    ],
    "resolve": [
        lambda r: (r / "folder/../a.pdf").resolve(),
        lambda r: (r / "none").resolve(),
        lambda r: (r / "none").resolve(strict=True),
        lambda r: (r / "folder").resolve(strict=True),
    ],
    "absolute": [lambda r: (r / "a.pdf").absolute()],
    "expanduser": [lambda r: (r / "a.pdf").expanduser()],
    "readlink": [lambda r: (r / "a.pdf").readlink(), lambda r: (r / "none").readlink()],
    "iterdir": [
        lambda r: list(r.iterdir()),
        lambda r: list((r / "folder").iterdir()),
    ],
    "glob": [
        lambda r: list(r.glob("*")),
        lambda r: list(r.glob("*.pdf")),
        lambda r: list(r.glob("folder/*.txt")),
        lambda r: list(r.glob("**/*.pdf")),
        lambda r: list(r.glob("*/deep/[c-d].pdf")),
        lambda r: list(r.glob("**/deep/*")),
        lambda r: list(r.glob("none/*")),
        lambda r: list(r.glob("a.pdf")),
        lambda r: list(r.glob("")),
        lambda r: list(r.glob("é*/?.pdf")),
    ],
    "rglob": [
        lambda r: list(r.rglob("*")),
        lambda r: list(r.rglob("*.pdf")),
        lambda r: list((r / "folder").rglob("deep")),
        lambda r: list((r / "none").rglob("*")),
    ],
    "walk": [
        lambda r: [(one[0], *sorted([*one[1], *one[2]])) for one in _walk(r)],
        lambda r: [(one[0], *sorted([*one[1], *one[2]])) for one in _walk(r, top_down=False)],
        lambda r: list(_walk(r / "none")),
        lambda r: [one[0] for one in _walk(r, prune="folder")],
    ],
    "open": [
        lambda r: _written(r, "w", "é"),
        lambda r: _written(r, "wb", b"x"),
        lambda r: _written(r, "a", "é"),
        lambda r: _written(r, "ab", b"x"),
        lambda r: _written(r, "r+", "é"),
        lambda r: _written(r, "r+b", b"yz"),
        lambda r: _written(r, "w+", "é"),
        lambda r: _written(r, "x", "é"),
        lambda r: _written(r, "r", "é"),
        lambda r: _written(r, "wr", "é"),
        lambda r: (r / "none").open(),
        lambda r: (r / "none").open("r+"),
        lambda r: (r / "folder").open("w"),
        lambda r: (r / "n\0l").open(),
    ],
    "read_bytes": [
        lambda r: (r / "folder/deep/c.pdf").read_bytes(),
        lambda r: (r / "none").read_bytes(),
    ],
    "read_text": [lambda r: (r / "folder/b.txt").read_text(encoding="utf-8")],
    "write_bytes": [lambda r: (r / "folder/new.pdf").write_bytes(b"new")],
    "write_text": [lambda r: (r / "folder/new.txt").write_text("ä", encoding="utf-8")],
    "touch": [
        _touched,
        lambda r: (r / "a.pdf").touch(exist_ok=False),
    ],
    "mkdir": [
        lambda r: (r / "folder").mkdir(exist_ok=True),
        lambda r: (r / "folder").mkdir(),
        # Not tried: mkdir(exist_ok=True) on a file. A bucket is not asked whether one is there: it
        # is in nobody's way, and paperless-ngx says mkdir before each save.
        lambda r: (r / "new/deep").mkdir(parents=True),
    ],
    "rmdir": [lambda r: (r / "folder").rmdir()],
    "unlink": [
        lambda r: (r / "a.pdf").unlink(),
        lambda r: (r / "none").unlink(),
        lambda r: (r / "none").unlink(missing_ok=True),
    ],
    "rename": [
        lambda r: (r / "a.pdf").rename(r / "b.pdf"),
        lambda r: (r / "a.pdf").rename(r / "folder/b.txt"),
        lambda r: (r / "none").rename(r / "b.pdf"),
        lambda r: (r / "a.pdf").rename(str(r / "a.pdf")),
    ],
    "replace": [
        lambda r: (r / "a.pdf").replace(r / "folder/b.txt"),
        lambda r: (r / "none").replace(r / "b.pdf"),
    ],
    "chmod": [lambda r: (r / "a.pdf").chmod(0o644)],
    "lchmod": [],
    "symlink_to": [],
    "hardlink_to": [],
    "home": [],
    "cwd": [],
}
"""What is done in both places, and must have the same outcome."""

DIFFERENT = {
    "symlink_to": "a storage has no links: refused, see below",
    "hardlink_to": "a storage has no links: refused, see below",
    "lchmod": "Linux has none",
    "home": "a class method, about nothing in a mount",
    "cwd": "a class method, about nothing in a mount",
}


def _walk(root: Path, *, top_down: bool = True, prune: str = "") -> list[Any]:
    """Return what ``walk`` yields; Python 3.11 has none, but a StoragePath has."""
    found = []
    for step in root.walk(top_down):  # type: ignore[attr-defined]
        found.append(step)
        step[1].sort()
        if prune in step[1]:
            step[1].remove(prune)
    return found


CASES = [(name, index) for name, some in OPERATIONS.items() for index in range(len(some))]


@pytest.mark.parametrize(("method", "index"), CASES)
def test_a_mount_does_what_a_local_folder_does(
    method: str, index: int, inside: Path, outside: Path
) -> None:
    operation = OPERATIONS[method][index]
    ours, theirs = outcome(operation, inside), outcome(operation, outside)
    assert ours == theirs
    assert content(inside) == content(outside)


def test_every_method_of_a_path_is_tried_here() -> None:
    pure = set(dir(__import__("pathlib").PurePath))
    doing = {name for name in dir(Path) if not name.startswith("_")} - pure
    doing.discard("link_to")
    missing = doing - set(OPERATIONS)
    known = {"copy", "copy_into", "move", "move_into", "from_uri", "info"}
    assert missing - known == set()
    assert {name for name, some in OPERATIONS.items() if not some} == set(DIFFERENT)


def test_links_are_refused(inside: Path, tmp_path: Path) -> None:
    actions: list[Callable[[], None]] = [
        lambda: (inside / "link").symlink_to(tmp_path),
        lambda: (inside / "link").hardlink_to(inside / "a.pdf"),
        lambda: StoragePath(tmp_path / "link").hardlink_to(inside / "a.pdf"),
    ]
    for action in actions:
        with pytest.raises(OSError, match="a document storage has no") as caught:
            action()
        assert caught.value.errno == errno.EOPNOTSUPP


def test_above_the_mounts_both_worlds_are_seen(inside: Path) -> None:
    root = Path(settings.MEDIA_ROOT)
    assert type(root) is StoragePath
    local = root / "documents" / "notes" / "n.txt"
    local.parent.mkdir(parents=True, exist_ok=True)
    local.write_text("local")
    try:
        names = {path.name for path in (root / "documents").iterdir()}
        assert {"originals", "archive", "notes"} <= names
        found = {str(path.relative_to(root)) for path in root.rglob("*.pdf")}
        assert "documents/originals/tree/folder/deep/c.pdf" in found
        listed = {str(path.relative_to(root)) for path in root.glob("**/*")}
        assert {"documents/notes/n.txt", "documents/originals/tree/a.pdf"} <= listed
        assert [str(p.relative_to(root)) for p in root.glob("documents/originals/tree/*.pdf")] == [
            "documents/originals/tree/a.pdf"
        ]
        walked = {str(path) for path, _, _ in _walk(root)}
        assert str(inside / "folder" / "deep") in walked
        assert str(local.parent) in walked
    finally:
        local.unlink()
        local.parent.rmdir()


def test_nothing_of_the_local_folder_below_a_mount_is_seen(inside: Path) -> None:
    hidden = f"{settings.ORIGINALS_DIR}/hidden"
    os.makedirs(hidden, exist_ok=True)  # noqa: PTH103  # pathlib would reach the storage
    try:
        assert "hidden" not in {path.name for path in inside.parent.iterdir()}
        assert not Path(hidden).exists()
        assert Path(hidden) not in set(Path(settings.MEDIA_ROOT).rglob("*"))
    finally:
        os.rmdir(hidden)  # noqa: PTH106


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_path_is_the_same_after_a_journey(make: Callable[[Path], Any], inside: Path) -> None:
    path = inside / "a.pdf"
    made = make(path)
    again = pickle.loads(made) if isinstance(made, bytes) else made  # noqa: S301  # our own
    assert again == path
    assert again.read_bytes() == b"A"
    assert type(again) is StoragePath
    if isinstance(made, bytes):
        assert b"StoragePath" not in made, "another process may not have the app"


def test_derived_paths_stay(inside: Path, tmp_path: Path) -> None:
    path = inside / "folder" / "deep" / "c.pdf"
    derived = [
        path.parent,
        *path.parents[:2],
        path.with_name("x"),
        path.with_suffix(".txt"),
        path.with_stem("y"),
        path / "..",
        path.joinpath("a", "b"),
        Path(path),
        Path(str(path)),
        Path(tmp_path, path),
        tmp_path / path,
    ]
    assert all(type(one) is StoragePath for one in derived)
    assert path.relative_to(inside) == Path("folder/deep/c.pdf")
    assert {path: 1}[Path(str(path))] == 1
    assert path == Path(str(path))
    assert sorted([path, inside]) == [inside, path]


def test_a_path_that_nobody_could_know_of_reaches_no_local_disk(inside: Path) -> None:
    """Neither half of it leads to a mount: the net refuses what the seams do not see."""
    path = Path("/") / str(inside / "new.pdf").lstrip("/")
    if not isinstance(path, StoragePath):
        with pytest.raises(OSError, match="it has to use pathlib"):
            path.write_bytes(b"x")
    assert not os.path.lexists(str(path))


def test_a_folder_without_files_is_as_good_as_empty(inside: Path) -> None:
    """A bucket has no folders of their own, so that a made one and a missing one are alike."""
    (inside / "made").mkdir()
    for name in ("made", "missing"):
        assert list((inside / name).iterdir()) == []


def test_what_leaves_a_mount_is_local(inside: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"local")
    out = inside / os.path.relpath(tmp_path / "x", str(inside))
    assert out.resolve().read_bytes() == b"local"
    beside = Path(f"{settings.ORIGINALS_DIR}-2") / "x.pdf"
    assert active.place_of(beside) is None
    assert not beside.exists()


@pytest.mark.parametrize(
    "name",
    [
        "x/../y.pdf",
        "x//y.pdf",
        "./y.pdf",
        "x/./../y.pdf",
    ],
)
def test_odd_spellings_are_one_name(
    name: str, inside: Path, stored: MutableMapping[str, bytes]
) -> None:
    with open(f"{inside}/{name}", "wb") as stream:  # noqa: PTH123  # as a text
        stream.write(b"odd")
    wanted = "y.pdf" if ".." in name or name.startswith(".") else "x/y.pdf"
    assert stored[f"originals/tree/{wanted}"] == b"odd"


@pytest.mark.parametrize(
    "name",
    [
        "emoji 😀🏳️‍🌈.pdf",
        "trailing dots...",
        "trailing. ./a . .pdf",
        " leading space",
        "-rf",
        "new\nline.pdf",
        'back\\slash:*?"<>|.pdf',
        "%2e%2e%2f.pdf",
        "[1].pdf",
        "ﬁ e\u0301.pdf",
        "n" * 1020 + ".pdf",
        "/".join(["d" * 100] * 10) + "/x.pdf",
        "😀" * 255 + ".pdf",
    ],
)
def test_names_of_any_kind_come_back(
    name: str, originals: Path, stored: MutableMapping[str, bytes], tmp_path: Path
) -> None:
    path = originals / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")
    assert stored[f"originals/{name}"] == b"content"
    assert path.is_file()
    assert path in set(originals.rglob("*"))
    assert Path(os.fspath(path)).read_bytes() == b"content"
    shutil.copy(path, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"content"
    shutil.move(path, originals / "short.pdf")
    path = originals / "short.pdf"
    path.unlink()
    assert [stored_name for stored_name in stored if stored_name != "paperfleet.json"] == []


def test_lone_surrogates_are_refused_with_an_error_of_the_system(originals: Path) -> None:
    path = originals / "bytes \udcff.pdf"
    assert not path.exists()
    with pytest.raises(OSError, match="bytes"):
        path.write_bytes(b"x")


@pytest.mark.parametrize("name", ["n\0l.pdf", "a/n\0l"])
def test_a_nul_is_refused_before_anything_is_touched(name: str, originals: Path) -> None:
    path = originals / name
    with pytest.raises(ValueError, match="NUL"):
        path.write_bytes(b"x")
    with pytest.raises(ValueError, match="NUL"):
        path.read_bytes()
    assert store.count("save", "save_with", "open") == 0


def test_names_that_leave_the_mount_go_nowhere_else(originals: Path) -> None:
    before = dict(memory.files)
    for name in ("../../../../../../../../../../etc/passwd-not", "/etc/passwd-not"):
        path = originals / name
        assert active.place_of(path) is None
        assert not path.exists()
    assert dict(memory.files) == before
    with pytest.raises(OSError, match=r"\w"):
        originals.write_bytes(b"x")
    with pytest.raises((InvalidNameError, OSError)):
        originals.unlink()


def test_an_unreachable_store_is_not_an_absent_document(inside: Path) -> None:
    for look in (
        lambda p: p.exists(),
        lambda p: p.is_file(),
        lambda p: p.stat(),
        lambda p: p.open("rb"),
        os.fspath,
    ):
        store.fail(times=None)
        with pytest.raises(UnavailableError, match="a fault of the test"):
            look(inside / "a.pdf")
        store.heal()


def test_a_stat_costs_one_look(inside: Path) -> None:
    for look in ("exists", "is_file", "stat"):
        store.calls.clear()
        getattr(inside / "a.pdf", look)()
        assert store.count("stat") == 1
        assert len(store.calls) == 1


def test_a_listing_costs_one_request(inside: Path) -> None:
    store.calls.clear()
    found = [path for path in inside.rglob("*") if path.is_file() or path.is_dir()]
    assert len(found) == 8
    assert store.count("list_files", "list_stats") < 8


def test_a_mount_that_is_made_with_its_parents_lets_the_local_ones_be_listed(
    tmp_path: Path,
) -> None:
    """As paperless-ngx 2 does when it migrates a new database."""
    root = tmp_path / "media" / "documents" / "originals"
    active.mounts.add(Mount(str(root), "originals", lambda: memory))
    try:
        Path(str(root)).mkdir(parents=True, exist_ok=True)
        assert os.listdir(root.parent) == []  # noqa: PTH208  # past the seams
    finally:
        active.mounts.remove(str(root))

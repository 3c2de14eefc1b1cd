"""The documents of a real installation arrive by its REST API, each change within its time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless import papers
from tests.paperless.conftest import make
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest

pytestmark = pytest.mark.paperless

EDITS = 60.0
"""Seconds for what changes the time of a document, on a busy machine; it is asked for every 5 s."""
COMES_AND_GOES = 120.0
"""Seconds for what does not, which is looked for every 30 s."""


@pytest.fixture(scope="module")
def paperless(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("mirrored")
    settings = {
        "PAPERLESS_FILENAME_FORMAT": "{{ correspondent }}/{{ title }}",
        "PAPERLESS_ARCHIVE_FILE_GENERATION": "auto",
    }
    with make(servers, folder, None, **settings) as installation:
        installation.start()
        yield installation


class Mirrored:
    """``paperfleet mirror --paperless`` to a folder, as a program of its own."""

    def __init__(self, paperless: Installation, rest: Rest, folder: Path) -> None:
        self.target, self._folder = folder / "target", folder
        self._log = folder / "mirror.log"
        self._token = folder / "token"
        self.use_token(rest.token)
        self._command = [sys.executable, "-m", "paperfleet", "mirror", "--paperless", paperless.url]
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PAPERFLEET_")},
            "PAPERFLEET_PAPERLESS_TOKEN_FILE": str(self._token),
            "PAPERFLEET_JOURNAL": str(folder / "state" / "journal.sqlite"),
        }

    def use_token(self, token: str) -> None:
        """Let it have the rights of another user from its next start."""
        self._token.write_text(token + "\n")
        self._token.chmod(0o600)

    @contextlib.contextmanager
    def live(self, *options: str) -> Iterator[None]:
        """Run it until the end of the block; it must end in order."""
        with self._log.open("a") as log:
            process = subprocess.Popen(
                [*self._command, *options, str(self.target)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                yield
                assert process.poll() is None, self._log.read_text()
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0, self._log.read_text()
            finally:
                process.kill()
                process.wait()

    def once(self, *options: str, code: int = 0) -> str:
        """Run it until source and target are equal; return what it says."""
        done = subprocess.run(
            [*self._command, "--once", *options, str(self.target)],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def told(self, action: str) -> list[str]:
        """Return what it said of each operation of a kind."""
        lines = (line.split(maxsplit=2) for line in self.log().splitlines())
        return [line[2] for line in lines if line[1:2] == [action]]

    def log(self) -> str:
        """Return what it said while it was live."""
        return self._log.read_text()

    def until(self, wanted: Callable[[dict[str, bytes]], bool], seconds: float) -> float:
        """Wait until the target is as wanted; return the seconds that it took."""
        began = time.monotonic()
        while not wanted(there := read_tree(self.target)):
            assert time.monotonic() < began + seconds, f"{sorted(there)}\n{self.log()}"
            time.sleep(0.1)
        return time.monotonic() - began


@pytest.fixture
def mirrored(paperless: Installation, rest: Rest, tmp_path: Path) -> Mirrored:
    return Mirrored(paperless, rest, tmp_path)


def effective(rest: Rest, number: int) -> bytes:
    """Return the archive of a document's newest version, else its original."""
    return rest.download(number, original=False).content


def wanted(rest: Rest) -> dict[str, bytes]:
    """Return what has to be at the target, by paperless-ngx's own names."""
    found = {}
    for row in rest.documents():
        about = rest.metadata(row["id"])
        name = about["media_filename"]
        if about["has_archive_version"]:
            name = name.rpartition(".")[0] + ".pdf"
        found[name] = effective(rest, row["id"])
    return found


def test_every_document_is_mirrored_once_and_then_live(rest: Rest, mirrored: Mirrored) -> None:
    plain, scan = papers.pdf(), papers.scan("Invoice of a barrel")
    number = rest.upload("plain.pdf", plain, title="has text")
    scanned = rest.upload("scan.png", scan, title="was read")
    mirrored.once()
    there = read_tree(mirrored.target)
    assert there == wanted(rest)
    assert there["none/was read.pdf"] == effective(rest, scanned) != scan
    with mirrored.live():
        mirrored.until(lambda tree: tree == there, EDITS)
        rest.upload("later.txt", papers.plain(), title="came later")
        mirrored.until(lambda tree: tree == wanted(rest), EDITS)
        rest.patch(f"documents/{number}/", json={"title": "has another title"})
        mirrored.until(lambda tree: "none/has another title.pdf" in tree, EDITS)
        assert read_tree(mirrored.target) == wanted(rest)
    assert mirrored.told("moved") == ["none/has text.pdf -> none/has another title.pdf"]
    assert not mirrored.told("deleted")


def test_trash_and_restore(rest: Rest, mirrored: Mirrored) -> None:
    number = rest.upload("a.pdf", papers.pdf(), title="to the trash and back")
    rest.upload("b.pdf", papers.pdf(), title="stays")
    name = "none/to the trash and back.pdf"
    with mirrored.live("--trash-folder", "trash"):
        mirrored.until(lambda tree: name in tree, EDITS)
        rest.delete(f"documents/{number}/")
        mirrored.until(lambda tree: f"trash/{name}" in tree and name not in tree, COMES_AND_GOES)
        rest.post("trash/", json={"documents": [number], "action": "restore"})
        mirrored.until(lambda tree: name in tree, COMES_AND_GOES)
    assert len(mirrored.told("moved")) == 2
    with mirrored.live():
        rest.delete(f"documents/{number}/")
        mirrored.until(lambda tree: not any("to the trash" in one for one in tree), COMES_AND_GOES)
        rest.post("trash/", json={"documents": [number], "action": "restore"})
        mirrored.until(lambda tree: tree == wanted(rest), COMES_AND_GOES)


def test_changes_of_files(rest: Rest, mirrored: Mirrored, paperless: Installation) -> None:
    """Pages turned (since version 3 a new version), an archive made anew: no name changes."""
    turned = rest.upload("turn.pdf", papers.pdf(), title="is turned")
    read = rest.upload("read.png", papers.scan("Read me again"), title="is read again")
    names = {turned: "none/is turned.pdf", read: "none/is read again.pdf"}

    def same(tree: dict[str, bytes]) -> bool:
        return all(tree.get(name) == effective(rest, number) for number, name in names.items())

    with mirrored.live():
        mirrored.until(same, EDITS)
        before = effective(rest, turned)
        rest.bulk_edit("rotate", [turned], degrees=90)
        rest.until(lambda: effective(rest, turned) != before, "the turned document")
        mirrored.until(same, EDITS)
        archive = effective(rest, read)
        rest.bulk_edit("reprocess", [read])
        rest.until(lambda: effective(rest, read) != archive, "the archive that is made anew")
        if paperless.checkout.version >= (3, 0, 0):
            mirrored.until(same, COMES_AND_GOES)
    assert not mirrored.told("deleted")
    assert not mirrored.told("moved")


def test_names_by_a_template_are_those_of_paperless_itself(rest: Rest, mirrored: Mirrored) -> None:
    """A renamed tag changes no time; names on paperless-ngx's own disk stay as they were."""
    tag = rest.post("tags/", json={"name": "Ärger/Freude: 1"}).json()["id"]
    field = rest.post("custom_fields/", json={"name": "Sum", "data_type": "monetary"}).json()["id"]
    choice = {"select_options": [{"label": "Yes?"}, {"label": "No"}]}
    kind = {"name": "Paid", "data_type": "select", "extra_data": choice}
    made = rest.post("custom_fields/", json=kind).json()
    who = rest.post("correspondents/", json={"name": "Müller & Söhne"}).json()["id"]
    number = rest.upload("n.pdf", papers.pdf(), title="A: title/with <all> of it?", tags=[tag])
    rest.patch(
        f"documents/{number}/",
        json={
            "correspondent": who,
            "archive_serial_number": 4711,
            "custom_fields": [
                {"field": field, "value": "EUR12.50"},
                {"field": made["id"], "value": made["extra_data"]["select_options"][0]["id"]},
            ],
        },
    )
    templates = (
        "{{ created_year }}/{{ correspondent|slugify }}/{{ title }}",
        "{{ created_month_name }}/{{ title }} {{ asn }}",
        "{{ tag_list }}/{% for tag in tag_name_list %}{{ tag }} {% endfor %}/{{ doc_pk }}",
        "{{ document_type }}/{% if document_type %}typed{% else %}untyped{% endif %}/{{ title }}",
        "{{ custom_fields|get_cf_value('Sum') }}/{{ custom_fields|get_cf_value('Paid') }}/x",
        "{{ document.added|datetime('%Y-%m') }}/{{ added }}/{{ owner_username }}/x",
        "{{ original_name }}/{{ document.storage_path }}",
        "{{ document.created|localize_date('MMMM', 'de_DE') }}/{{ document.correspondent.name }}",
        "{{ custom_fields['of none'].value }}/{{ title }}",
        "../{{ title }}",
    )
    paths = {}
    for template in templates:
        about = {"document": number, "path": template}
        answer = rest.post("storage_paths/test/", json=about)
        rendered = answer.json() if answer.content else None
        # Version 3 tells the ending too.
        paths[template] = f"{rendered.removesuffix('.pdf') if rendered else f'{number:07}'}.pdf"
    for template, path in paths.items():
        mirrored.once("--document-path", template, "--delete-share", "1")
        assert path in read_tree(mirrored.target), template
    assert rest.metadata(number)["media_filename"]
    with mirrored.live("--document-path", templates[2]):
        mirrored.until(lambda tree: paths[templates[2]] in tree, EDITS)
        rest.patch(f"tags/{tag}/", json={"name": "Freude"})
        renamed = f"Freude/Freude/{number:07}.pdf"
        mirrored.until(lambda tree: renamed in tree, COMES_AND_GOES)
        rest.delete(f"tags/{tag}/")
        mirrored.until(lambda tree: renamed not in tree, COMES_AND_GOES)
        assert f"{number:07}.pdf" in {
            name.rpartition("/")[2] for name in read_tree(mirrored.target)
        }
    assert not mirrored.told("deleted")


def test_a_lost_permission_deletes_nothing(rest: Rest, mirrored: Mirrored) -> None:
    user = {"username": "reader", "password": "of this test", "user_permissions": ["view_document"]}
    rest.post("users/", json=user)
    number = rest.upload("mine.pdf", papers.pdf(), title="mine for now")
    rest.patch(f"documents/{number}/", json={"owner": None})
    token = rest.post("token/", data={"username": "reader", "password": "of this test"}).json()
    mirrored.use_token(token["token"])
    name = "none/mine for now.pdf"
    with mirrored.live():
        mirrored.until(lambda tree: name in tree, EDITS)
        admin = next(one for one in rest.get("users/").json()["results"] if one["is_superuser"])
        rest.patch(f"documents/{number}/", json={"owner": admin["id"]})
        rest.until(lambda: "may not see this document any more" in mirrored.log(), "what is said")
        assert name in read_tree(mirrored.target)
        rest.patch(f"documents/{number}/", json={"owner": None, "title": "mine again"})
        mirrored.until(lambda tree: "none/mine again.pdf" in tree, COMES_AND_GOES)
    assert not mirrored.told("deleted")


def test_filters(rest: Rest, mirrored: Mirrored) -> None:
    tag = rest.post("tags/", json={"name": "only these"}).json()["id"]
    number = rest.upload("f.pdf", papers.pdf(), title="passes the filter", tags=[tag])
    name = "none/passes the filter.pdf"
    with mirrored.live("--only-tags", "only these"):
        mirrored.until(lambda tree: set(tree) == {name}, EDITS)
        rest.patch(f"documents/{number}/", json={"tags": []})
        rest.until(lambda: "1 of 1 files would be deleted" in mirrored.log(), "what is said")
        assert name in read_tree(mirrored.target), "all of what there is waits for a yes"
        rest.patch(f"tags/{tag}/", json={"name": "renamed"})
        rest.until(lambda: "no tag 'only these'" in mirrored.log(), "what is said")
        assert name in read_tree(mirrored.target)

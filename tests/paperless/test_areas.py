"""What hosts of a fleet keep beside documents: real PostgreSQL and Redis, S3 by moto.

Each host has folders of its own, and nothing else in common.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import SMALL
from tests.paperless.delivery_kit import (
    LOCATION,
    ON_SERVERS,
    PREFIX,
    Fleet,
    Host,
    fleet_with_tables,
    passed,
    wait_for,
)
from tests.wide import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = ON_SERVERS
SITE = replace(SMALL, variables={"PAPERLESS_EMPTY_TRASH_DIR": "/nowhere/trash"})
AREAS = ("thumbnails", "share_link_bundles", "logo", "trash", "classifier")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("fleet"), SITE) as fleet:
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Fleet:
    servers.clear()
    servers.ask("TRUNCATE paperless_applicationconfiguration")
    for area in AREAS:
        for key in servers.objects(area):
            servers.s3.client.delete_object(Bucket=servers.s3.bucket, Key=key)
    return servers.anew(tmp_path)


def local_files(host: Host) -> list[str]:
    """Return what a host keeps, but for local copies."""
    below = (path.relative_to(host.folder) for path in host.folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in below if "paperfleet/copies" not in str(path))


def keys(fleet: Fleet, area: str) -> list[str]:
    return [key.removeprefix(f"{LOCATION}/") for key in fleet.objects(area)]


def check(host: Host, *options: str, fails: bool = False, **more: str) -> str:
    """Run ``paperfleet_check``; return what it prints."""
    done = SITE.run(["manage.py", "paperfleet_check", *options], host.environment(**more))
    assert bool(done.returncode) is fails, done.stdout + done.stderr
    return done.stdout


@WIDE
def test_thumbnails_and_bundles_are_on_every_host(fleet: Fleet) -> None:
    fleet.host("first").python(
        "from django.conf import settings\n"
        "settings.SHARE_LINK_BUNDLE_DIR.mkdir(parents=True, exist_ok=True)\n"
        "(settings.SHARE_LINK_BUNDLE_DIR / 'a.zip').write_bytes(b'bundle')\n"
        "(settings.THUMBNAIL_DIR / '0000001.webp').write_bytes(b'small')\n"
    )
    told = fleet.host("second").python(
        "from django.conf import settings\n"
        "print((settings.SHARE_LINK_BUNDLE_DIR / 'a.zip').read_bytes())\n"
        "print((settings.THUMBNAIL_DIR / '0000001.webp').read_bytes())\n"
    )
    assert told.split() == ["b'bundle'", "b'small'"]
    assert local_files(fleet.host("first")) == local_files(fleet.host("second")) == []


SET_LOGO = """
from django.core.files.base import ContentFile
from paperless.models import ApplicationConfiguration
mine, _ = ApplicationConfiguration.objects.get_or_create(pk=1)
if mine.app_logo:
    mine.app_logo.delete()
mine.app_logo.save("a.svg", ContentFile({content!r}))
print(mine.app_logo.name)
"""
GET_LOGO = """
import subprocess
from paperless.models import ApplicationConfiguration
logo = ApplicationConfiguration.objects.get().app_logo
with logo.open("rb") as stream:
    print(stream.read(), logo.size)
print(subprocess.run(["/bin/cat", logo.path], capture_output=True, check=True).stdout)
"""


def test_the_logo_is_on_every_host(fleet: Fleet) -> None:
    first, second = fleet.host("first"), fleet.host("second")
    for content in (b"<svg/>", b"<svg></svg>"):
        assert first.python(SET_LOGO.format(content=content)).split() == ["logo/a.svg"]
        assert second.python(GET_LOGO).splitlines() == [
            f"{content!r} {len(content)}",
            f"{content!r}",
        ]
    assert keys(fleet, "logo") == ["logo/a.svg"]
    assert local_files(first) == local_files(second) == []


@WIDE
def test_a_check_misses_a_logo(fleet: Fleet) -> None:
    first = fleet.host("first")
    first.python(SET_LOGO.format(content=b"<svg/>"))
    assert "all agree" in check(fleet.host("second"))
    (key,) = fleet.objects("logo")
    fleet.s3.client.delete_object(Bucket=fleet.s3.bucket, Key=key)
    assert "logo/a.svg" in check(first, fails=True)


def deleted_for_good(host: Host, trash: str) -> None:
    host.python(
        "import pathlib\n"
        "from documents.consumer import consume\n"
        "from documents import tasks\n"
        "from django.conf import settings\n"
        "path = settings.SCRATCH_DIR / 'a.pdf'\n"
        "path.write_bytes(b'content')\n"
        "consume(path, 'a').delete()\n"
        "assert tasks.empty_trash() is not None\n",
        PAPERLESS_EMPTY_TRASH_DIR=trash,
        PAPERLESS_FILENAME_FORMAT="a",
    )


@WIDE
def test_what_is_deleted_lies_in_the_trash_of_the_storage(fleet: Fleet, tmp_path: Path) -> None:
    trash = str(tmp_path / "trash")  # on no host
    for host in ("first", "second"):
        deleted_for_good(fleet.host(host), trash)
        assert local_files(fleet.host(host)) == []
    assert keys(fleet, "originals") == []
    assert keys(fleet, "trash") == ["trash/a.pdf", "trash/a_01.pdf"]
    told = check(
        fleet.host("first"), "--repair", "--delete-orphans", PAPERLESS_EMPTY_TRASH_DIR=trash
    )
    assert "2 files (14 B) of deleted documents" in told
    assert keys(fleet, "trash") == ["trash/a.pdf", "trash/a_01.pdf"]


TRASHED_AND_KILLED = """
import os, signal
from documents import tasks
from documents.consumer import consume
from django.conf import settings
from paperfleet.paperless.documents import moving
path = settings.SCRATCH_DIR / "a.pdf"
path.write_bytes(b"content")
document = consume(path, "a")
document.thumbnail_path.write_bytes(b"small")
document.delete()
moving.files.delete = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
tasks.empty_trash()
"""


@WIDE
def test_a_host_killed_while_it_empties_the_trash_loses_nothing(
    fleet: Fleet, tmp_path: Path
) -> None:
    trash = str(tmp_path / "trash")
    host = fleet.host("first")
    host.python(TRASHED_AND_KILLED, fails=True, PAPERLESS_EMPTY_TRASH_DIR=trash)
    assert fleet.titles() == ["a"]
    assert len(keys(fleet, "originals")) == len(keys(fleet, "trash")) == 1
    assert "all agree" in check(host, PAPERLESS_EMPTY_TRASH_DIR=trash)


SAVE = "from documents import classifier\nclassifier.save({model!r})\n"
LOAD = "from documents import classifier\nprint(classifier.load_classifier())\n"


def test_the_model_of_one_host_is_loaded_by_all(fleet: Fleet) -> None:
    first, second = fleet.host("first"), fleet.host("second")
    assert second.python(LOAD).split() == ["None"]
    for model in (b"one", b"two"):
        first.python(SAVE.format(model=model))
        assert second.python(LOAD).split() == [f"{model!r}"]
    assert keys(fleet, "classifier") == ["classifier/classification_model.pickle"]
    assert local_files(first) == local_files(second) == []
    copies = second.folder / "scratch_dir" / "paperfleet" / "copies"
    before = {path: path.stat().st_ino for path in copies.rglob("*.pickle")}
    assert second.python(LOAD).split() == ["b'two'"]
    assert {path: path.stat().st_ino for path in copies.rglob("*.pickle")} == before


KILLED = """
import os, signal
from documents import classifier
from paperfleet.paperless.documents.paths import StoragePath
StoragePath.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
classifier.save(b"newer")
"""


@WIDE
def test_a_host_killed_while_it_saves_a_model_leaves_the_old_one(fleet: Fleet) -> None:
    fleet.host("first").python(SAVE.format(model=b"old"))
    fleet.host("first").python(KILLED, fails=True)
    assert fleet.host("second").python(LOAD).split() == ["b'old'"]
    fleet.host("second").python(SAVE.format(model=b"newest"))
    assert fleet.host("first").python(LOAD).split() == ["b'newest'"]
    assert keys(fleet, "classifier") == ["classifier/classification_model.pickle"]


@WIDE
def test_a_model_that_arrives_damaged_is_not_loaded_and_stays(fleet: Fleet) -> None:
    """paperless-ngx deletes a model that it takes for damaged: the one of all hosts."""
    fleet.host("first").python(SAVE.format(model=b"model"))
    cut = (
        "import io\n"
        "from paperfleet.paperless.documents import files\n"
        "files.open_stream = lambda place: io.BytesIO(b'mod')\n"
    )
    assert fleet.host("second").python(cut + LOAD).split() == ["None"]
    assert fleet.host("second").python(LOAD).split() == ["b'model'"]


@WIDE
def test_a_check_looks_at_what_waits_for_workers(fleet: Fleet) -> None:
    web = fleet.host("web")
    web.upload("a.pdf", "content of a")
    (key,) = fleet.objects("staging")
    assert "all agree" in check(web)
    fleet.s3.client.put_object(Bucket=fleet.s3.bucket, Key=key, Body=b"other bytes!")
    assert "damaged: 1" in check(web, fails=True)
    fleet.s3.client.delete_object(Bucket=fleet.s3.bucket, Key=key)
    told = check(web, "--repair", fails=True)
    assert "missing: 1" in told
    assert f"{key.removeprefix('fleet/')}: task " in told


@WIDE
def test_a_check_tells_of_staged_files_of_no_task(fleet: Fleet) -> None:
    fleet.s3.client.put_object(
        Bucket=fleet.s3.bucket, Key=f"{LOCATION}/staging/gone/0", Body=b"left"
    )
    assert "staging/ has 1 file (4 B) of no task" in check(fleet.host("web"))


ON_A_DISK = """
from django.conf import settings
from documents.consumer import consume
path = settings.SCRATCH_DIR / "a.pdf"
path.write_bytes(b"content")
document = consume(path, "a")
settings.THUMBNAIL_DIR.mkdir(parents=True, exist_ok=True)
document.thumbnail_path.write_bytes(b"small")
settings.EMPTY_TRASH_DIR.mkdir(parents=True, exist_ok=True)
for name in ("b.pdf", "c d.pdf"):
    (settings.EMPTY_TRASH_DIR / name).write_bytes(b"deleted")
"""


def manage(host: Host, *command: str, fails: bool = False, more: Mapping[str, str]) -> str:
    done = SITE.run(["manage.py", *command], host.environment(**more))
    assert bool(done.returncode) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def agree(fleet: Fleet, text: str) -> None:
    """Let the database be that of a fleet, or of none."""
    fleet.ask("UPDATE paperfleet_installation SET agreed = %s", text)


@WIDE
def test_what_a_host_has_on_its_disk_moves_to_the_fleet_and_back(
    fleet: Fleet, tmp_path: Path
) -> None:
    host, trash = fleet.host("first"), str(tmp_path / "first" / "trash")
    place = {"PAPERLESS_EMPTY_TRASH_DIR": trash}
    alone = {"PAPERFLEET_FLEET": "false", **place}
    ((agreed,),) = fleet.ask("SELECT agreed FROM paperfleet_installation")
    agree(fleet, "")
    host.python(ON_A_DISK + SET_LOGO.format(content=b"<svg/>"), fails=False, **alone)
    agree(fleet, agreed)
    before = local_files(host)
    assert len(before) == 4
    told = manage(host, "check", fails=True, more=place)
    assert "is on the local disk, and not in s3://" in told
    assert "migrate_storage" in told

    manage(host, "migrate_storage", more=place)
    assert [name for name in local_files(host) if "migration" not in name] == []
    assert "all agree" in check(host, PAPERLESS_EMPTY_TRASH_DIR=trash)
    assert keys(fleet, "trash") == ["trash/b.pdf", "trash/c d.pdf"]
    assert fleet.host("second").python(GET_LOGO).startswith("b'<svg/>'")

    home = {**alone, "PAPERLESS_DOCUMENT_STORAGE_BACKEND": ""}
    source = host.environment()["PAPERLESS_DOCUMENT_STORAGE_OPTIONS"]
    home |= {"PAPERLESS_DOCUMENT_STORAGE_OPTIONS": "", "PAPERFLEET_SOURCE_OPTIONS": source}
    agree(fleet, "")
    where = "--source-backend=paperfleet.S3CompatibleBackend"
    manage(host, "migrate_storage", where, more=home)
    after = [name for name in local_files(host) if "migration" not in name]
    (original,) = set(after) - set(before)
    assert original.startswith("media_root/documents/originals/")
    assert set(before) <= set(after)
    assert all(keys(fleet, area) == [] for area in (*AREAS, "originals"))
    assert (tmp_path / "first" / "trash" / "c d.pdf").read_bytes() == b"deleted"
    host.python(GET_LOGO, fails=False, **home)
    agree(fleet, agreed)


CONSUME = """
from documents.data_models import ConsumableDocument
from documents.tasks import consume_file
consume_file.apply_async(kwargs={{"input_doc": ConsumableDocument({path!r})}})
"""
HALF = [("half", 1, 0)]


def scanned(host: Host, name: str, content: str) -> None:
    """Let the consumer of a host find a half of a double-sided scan."""
    folder = host.folder / "consumption_dir" / "double-sided"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    host.python(CONSUME.format(path=str(folder / name)))


def contents(fleet: Fleet) -> list[bytes]:
    client, bucket = fleet.s3.client, fleet.s3.bucket
    bodies = (client.get_object(Bucket=bucket, Key=key) for key in fleet.objects("originals"))
    return [body["Body"].read() for body in bodies]


@WIDE
def test_halves_that_two_hosts_work_on_become_one_document(fleet: Fleet) -> None:
    web = fleet.host("web")
    scanned(web, "odd.pdf", "odd ")
    with fleet.host("first").worker():
        wait_for("the first half", lambda: fleet.rows() == HALF)
    scanned(web, "even.pdf", "even")
    with fleet.host("second").worker():
        wait_for("the document", fleet.titles)
        wait_for("the last task", lambda: fleet.rows() == [])
    assert fleet.titles() == ["even-collated"]
    assert fleet.statuses() == ["success"] * 3
    assert contents(fleet) == [b"odd even"]
    assert fleet.objects("staging") == []
    for name in ("web", "first", "second"):
        assert [one for one in local_files(fleet.host(name)) if not one.endswith(".log")] == []


@WIDE
def test_what_is_made_of_two_halves_is_a_whole_file_of_its_folder(fleet: Fleet) -> None:
    """Not a part: barcodes would give the tags of all pages to whatever says that it is one."""
    host = fleet.host("web")
    scanned(host, "odd.pdf", "path ")
    with host.worker():
        wait_for("the first half", lambda: fleet.rows() == HALF)
        scanned(host, "even.pdf", f"{host.folder / 'consumption_dir'}/*")
        wait_for("the document", fleet.titles)
    assert fleet.titles() == ["whole, matches"]


@WIDE
def test_halves_whose_workers_are_killed_become_one_document(fleet: Fleet) -> None:
    web = fleet.host("web")
    scanned(web, "odd.pdf", "odd ")
    with fleet.host("first").worker("run.returned:kill"):
        passed(fleet, "run.returned")
        fleet.age(16)
        assert web.sweep() == ["Fence"]
        wait_for("the first half", lambda: [row[0] for row in fleet.rows()] == ["half"])
    (fleet.folder / "gate" / "run.returned").unlink()
    scanned(web, "even.pdf", "even")
    points = "half.taken:kill,half.collated:kill,run.returned:kill"
    with fleet.host("second").worker(points, PAPERFLEET_TASK_DEATHS="20"):
        passed(fleet, "run.returned")
        fleet.age(16)
        assert "Fence" in web.sweep(PAPERFLEET_TASK_DEATHS="20")
        wait_for("the document", fleet.titles)
        wait_for("the last task", lambda: {row[0] for row in fleet.rows()} <= {"held"})
    web.sweep()  # what the killed ones have published goes
    assert fleet.rows() == []
    assert fleet.titles() == ["even-collated"]
    assert contents(fleet) == [b"odd even"]
    assert fleet.objects("staging") == []


@WIDE
def test_a_first_half_that_a_worker_comes_to_later_is_still_the_first(fleet: Fleet) -> None:
    web = fleet.host("web")
    scanned(web, "odd.pdf", "odd ")
    with contextlib.closing(fleet.broker()) as client:
        client.delete(f"{PREFIX}celery")
    scanned(web, "even.pdf", "even")
    with fleet.host("first").worker():
        wait_for("a half", lambda: sorted(row[0] for row in fleet.rows()) == ["half", "waiting"])
        fleet.age(61)
        assert web.sweep() == ["Offer"]
        wait_for("the document", fleet.titles)
        wait_for("the last task", lambda: fleet.rows() == [])
    assert contents(fleet) == [b"odd even"]


@WIDE
def test_a_half_whose_second_does_not_come_is_kept_and_is_no_half_any_more(fleet: Fleet) -> None:
    web = fleet.host("web")
    with fleet.host("first").worker():
        scanned(web, "old.pdf", "old ")
        wait_for("the first half", lambda: fleet.rows() == HALF)
        fleet.age(41 * 60)
        web.sweep()
        assert "did not come within 30 minutes" in web.tasks(fails=True)
        scanned(web, "odd.pdf", "odd ")
        wait_for("another first half", lambda: ("half", 1, 0) in fleet.rows())
        scanned(web, "even.pdf", "even")
        wait_for("the document", fleet.titles)
        wait_for("the last task", lambda: fleet.rows() == [("failed", 1, 0)])
    assert contents(fleet) == [b"odd even"]
    assert len(fleet.objects("staging")) == 1


@WIDE
def test_halves_that_cannot_be_put_together_are_kept(fleet: Fleet) -> None:
    web = fleet.host("web")
    with fleet.host("first").worker():
        scanned(web, "odd.pdf", "odd ")
        wait_for("the first half", lambda: fleet.rows() == HALF)
        scanned(web, "even.pdf", "more pages")
        wait_for("the end", lambda: fleet.rows() == [("failed", 1, 0)] * 2)
    assert fleet.titles() == []
    assert len(fleet.objects("staging")) == 2
    told = web.tasks(fails=True)
    assert "odd.pdf" in told
    assert told.count("more pages than the first") == 2
    assert [one for one in local_files(fleet.host("first")) if not one.endswith(".log")] == []

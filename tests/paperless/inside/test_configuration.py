"""Settings that cannot be: each a text that names it, no traceback, and no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.conf import settings
from django.core.checks import run_checks
from tests.paperless.inside import stores

from paperfleet.errors import ConfigurationError
from paperfleet.paperless import activation, areas, checks, config
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import active
from paperfleet.paperless.documents.paths import StoragePath
from paperfleet.paperless.seams import table as seams
from paperfleet.settings import app, mirror

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "gEheim/+7"
S3 = {
    app.BACKEND: "paperfleet.S3CompatibleBackend",
    app.OPTIONS: json.dumps({"bucket_name": "b", "access_key": "k", "secret_key": SECRET}),
}

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "options are not JSON": (
        {app.BACKEND: "paperfleet.S3CompatibleBackend", app.OPTIONS: f"{{secret: {SECRET}"},
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS is not a JSON object",
    ),
    "options are a list": (
        {app.BACKEND: "paperfleet.S3CompatibleBackend", app.OPTIONS: f'["{SECRET}"]'},
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS is not a JSON object",
    ),
    "options without a backend": (
        {app.OPTIONS: json.dumps({"secret_key": SECRET})},
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS is set, and PAPERLESS_DOCUMENT_STORAGE_BACKEND is not",
    ),
    "options in a file that is not there": (
        {app.BACKEND: "paperfleet.S3CompatibleBackend", f"{app.OPTIONS}_FILE": "/none/x"},
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS_FILE: /none/x cannot be read",
    ),
    "a module that is not there": (
        {app.BACKEND: "no_such_module.Backend"},
        "the storage no_such_module.Backend cannot be loaded",
    ),
    "a class that is not there": (
        {app.BACKEND: "paperfleet.S3Compatible"},
        "the module paperfleet has no storage 'S3Compatible'",
    ),
    "a word that is no backend": (
        {app.BACKEND: "S3CompatibleBackend"},
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND is 'S3CompatibleBackend', which means the folder",
    ),
    "a folder by a relative path": ({app.BACKEND: "./store"}, "means the folder './store'"),
    "a local storage by a relative path": (
        {
            app.BACKEND: "paperfleet.LocalFilesystemBackend",
            app.OPTIONS: json.dumps({"root": "store"}),
        },
        "means the folder 'store'",
    ),
    "a class that lacks a method": (
        {app.BACKEND: f"{stores.__name__}.NoSave"},
        f"{stores.__name__}.NoSave is no document storage: it lacks save",
    ),
    "an option that does not exist": (
        {**S3, app.OPTIONS: json.dumps({"bucket_name": "b", "secret": SECRET})},
        "has no option 'secret'",
    ),
    "an option that is missing": (
        {**S3, app.OPTIONS: json.dumps({"access_key": "k", "secret_key": SECRET})},
        "needs the option bucket_name",
    ),
    "an option of the wrong kind": (
        {**S3, app.OPTIONS: json.dumps({"bucket_name": "b", "timeout": SECRET})},
        "the option 'timeout' of paperfleet.S3CompatibleBackend has a value that is no",
    ),
    "a media lock that does not exist": (
        {**S3, app.MEDIA_LOCK: "zookeeper"},
        "PAPERFLEET_MEDIA_LOCK is 'zookeeper'",
    ),
    "a media lock in another database": (
        {**S3, app.MEDIA_LOCK: "postgres"},
        "PAPERFLEET_MEDIA_LOCK is postgres, and paperless-ngx has another database",
    ),
    "too short a lease": (
        {**S3, "PAPERFLEET_MEDIA_LOCK_SECONDS": "1"},
        "PAPERFLEET_MEDIA_LOCK_SECONDS: '1' is not a whole number from 5 to 3,600",
    ),
    "a cache that is no number": (
        {**S3, "PAPERFLEET_CACHE_MB": "viel"},
        "PAPERFLEET_CACHE_MB: 'viel' is not a whole number from 10",
    ),
    "mounts that do not exist": (
        {**S3, app.MOUNTS: "thumbnails, Logs"},
        "PAPERFLEET_MOUNTS has 'Logs'",
    ),
    "neither true nor false": (
        {**S3, app.ANY_VERSION: "vielleicht"},
        "PAPERFLEET_ALLOW_UNTESTED_VERSION: 'vielleicht' is not true or false",
    ),
    "events of a folder that changes past the app": (
        {app.EVENTS: "true"},
        "PAPERFLEET_EVENTS is on, and the documents lie in paperless-ngx's own folder",
    ),
    "a local storage within the folders of paperless-ngx": (
        {
            app.BACKEND: "paperfleet.LocalFilesystemBackend",
            app.OPTIONS: json.dumps({"root": f"{settings.MEDIA_ROOT}/documents/originals/x"}),
        },
        "lie in one another",
    ),
    "a local storage around them": (
        {
            app.BACKEND: "paperfleet.LocalFilesystemBackend",
            app.OPTIONS: json.dumps({"root": str(settings.MEDIA_ROOT)}),
        },
        "lie in one another",
    ),
}
VARIABLES = [row.variable for row in app.table().values()]


@pytest.fixture
def _inactive() -> Iterator[None]:
    """Take the app out of this process, and put it back."""
    kept, before = list(active.mounts), (documents.configuration, documents.storage)
    middleware, roots = list(settings.MIDDLEWARE), documents.roots
    version = documents.version
    assert documents.configuration is not None
    for mount in kept:
        active.mounts.remove(mount.root)
    seams.uninstall()
    yield
    seams.uninstall()
    for mount in list(active.mounts):
        active.mounts.remove(mount.root)
    documents.configuration, documents.storage = before
    documents.version = version
    documents.roots = roots
    assert documents.configuration is not None
    seams.install(documents.configuration, activation.version_of_paperless())
    for mount in kept:
        active.mounts.add(mount)
    settings.MIDDLEWARE = middleware


def with_variables(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, text in given.items():
        monkeypatch.setenv(name, text)


@pytest.mark.usefixtures("_inactive")
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_ends_the_process(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, text = WRONG[case]
    with_variables(monkeypatch, given)
    with pytest.raises(SystemExit) as caught:
        apps.get_app_config("paperfleet").ready()
    told = str(caught.value)
    assert told.startswith("paperfleet: ")
    assert text in told
    assert SECRET not in told
    assert SECRET not in repr(caught.value.__cause__)
    assert list(active.mounts) == []
    assert list(seams._installed) == []


@pytest.mark.usefixtures("_inactive")
@pytest.mark.parametrize("version", ["4.0.0", "1.17.4", "dev"])
def test_a_major_version_that_was_never_tested_needs_a_word(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "version_of_paperless", lambda: version)
    with pytest.raises(ConfigurationError, match="of a major version that was never tested"):
        activation.activate()
    assert list(seams._installed) == []
    monkeypatch.setenv(app.ANY_VERSION, "true")
    activation.activate()
    assert list(seams.faults()) == []
    assert len(list(active.mounts)) == 2


@pytest.mark.usefixtures("_inactive")
@pytest.mark.parametrize(
    "version", ["3.0.6", "3.3.0", "2.20.14", "2.19.0", "3.1.0-beta.rc1", "3.0.5-rc2", "3.4"]
)
def test_an_untested_version_starts_and_is_told(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(activation, "version_of_paperless", lambda: version)
    activation.activate()
    assert list(seams.faults()) == []
    assert len(list(active.mounts)) == 2
    told = [one.message for one in caplog.records if version in one.message]
    assert ["was not tested with Paperfleet" in text for text in told] == [True]
    (warning,) = [one for one in run_checks() if one.id == "paperfleet.W103"]
    assert f"paperless-ngx {version} was not tested" in warning.msg


@pytest.mark.usefixtures("_inactive")
@pytest.mark.parametrize("version", ["2.20.15", "3.0.0", "3.0.3", "3.0.5"])
def test_of_a_tested_version_nothing_is_said(
    version: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(activation, "version_of_paperless", lambda: version)
    activation.activate()
    assert [one for one in caplog.records if version in one.message] == []
    assert [one for one in run_checks() if one.id == "paperfleet.W103"] == []


@pytest.mark.usefixtures("_inactive")
def test_a_way_back_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["manage.py", "check"])
    for version, told in (("3.3.0", False), ("3.0.5", True), ("3.3.0", False)):
        monkeypatch.setattr(activation, "version_of_paperless", lambda version=version: version)
        activation.activate()
        documents.is_checked = False
        caplog.clear()
        documents.require_usable()
        text = f"this is paperless-ngx {version}, and 3.3.0 has worked on this database"
        assert [text in one.message for one in caplog.records] == [True] * told
        assert [text in one.msg for one in run_checks() if one.id == "paperfleet.W104"] == [
            True
        ] * told
        seams.uninstall()


@pytest.mark.usefixtures("_inactive")
def test_a_failed_self_test_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    rows = [
        row
        for row in seams.table(documents.configuration)  # type: ignore[arg-type]
        if row.label != "shutil.move"
    ]
    monkeypatch.setattr(seams, "table", lambda _: rows)
    before = shutil.copy
    with pytest.raises(ConfigurationError, match="the self-test of 'moves' failed"):
        activation.activate()
    assert list(active.mounts) == []
    assert shutil.copy is before


@pytest.mark.usefixtures("_inactive")
@pytest.mark.parametrize("given", [{}, {app.BACKEND: "paperfleet.LocalFilesystemBackend"}])
def test_without_a_storage_nothing_is_replaced(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_variables(monkeypatch, given)
    activation.activate()
    assert list(seams._installed) == []
    assert list(active.mounts) == []


@pytest.mark.usefixtures("_inactive")
def test_optional_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept_settings()
    monkeypatch.setenv(app.MOUNTS, "thumbnails, share_link_bundles,classifier")
    try:
        activation.activate()
        assert {mount.key for mount in active.mounts} == {
            *("originals", "archive", "thumbnails", "classifier"),
            *_of_this_version("share_link_bundles"),
        }
        assert all(
            type(path) is StoragePath and active.place_of(path)
            for path in (settings.THUMBNAIL_DIR, settings.MODEL_FILE)
        )
        settings.MODEL_FILE.write_bytes(b"model")
        assert stores.memory.files["classifier/classification_model.pickle"] == b"model"
    finally:
        put_back(before)


def kept_settings() -> dict[str, object]:
    """Return what mounting changes; paperless-ngx 2 has no bundles."""
    names = {"MODEL_FILE", *(area.setting for area in areas.AREAS.values())}
    return {name: getattr(settings, name) for name in names if hasattr(settings, name)}


def put_back(before: dict[str, object]) -> None:
    for name, value in before.items():
        setattr(settings, name, value)


def _of_this_version(*keys: str) -> set[str]:
    return {key for key in keys if hasattr(settings, areas.AREAS[key].setting)}


@pytest.mark.usefixtures("_inactive")
def test_in_a_fleet_all_areas_are_in_the_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever was chosen: what one host keeps for itself, the others would miss."""
    before = kept_settings()
    settings.EMPTY_TRASH_DIR = tmp_path / "trash"
    monkeypatch.setenv(app.FLEET, "true")
    monkeypatch.setenv(app.MOUNTS, "thumbnails")
    try:
        activation.activate()
        every = _of_this_version(*areas.AREAS)
        assert {mount.key for mount in active.mounts} == {*every, areas.CLASSIFIER}
        found = {mount.root: mount.key for mount in active.mounts}
        assert found[str(tmp_path / "trash")] == "trash"
        assert found[f"{settings.MEDIA_ROOT}/logo"] == "logo"
        assert active.place_of(settings.EMPTY_TRASH_DIR / "a.pdf")
    finally:
        put_back(before)


@pytest.mark.usefixtures("_inactive")
def test_an_area_without_a_folder_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.EMPTY_TRASH_DIR is None
    monkeypatch.setenv(app.MOUNTS, "trash")
    activation.activate()
    assert {mount.key for mount in active.mounts} == {"originals", "archive"}
    assert settings.EMPTY_TRASH_DIR is None


@pytest.mark.parametrize("case", ["options are not JSON", "a class that lacks a method"])
def test_a_real_process_says_it_without_a_traceback(case: str, tmp_path: Path) -> None:
    given, text = WRONG[case]
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(
        command,
        env={**kept, **given, "PAPERLESS_SCRATCH_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert done.stderr.count("\n") <= 3


KINDS_OF_LOCK = {
    "a bucket": (S3, "redis"),
    "a server of files": ({app.BACKEND: "nextclouds://alice@cloud.example/Docs"}, "redis"),
    "a class of somebody else's": (
        {app.BACKEND: "tests.paperless.inside.stores.bucket"},
        "redis",
    ),
    "a folder of this host": ({app.BACKEND: "/srv/documents"}, "file"),
    "what was chosen": ({**S3, app.MEDIA_LOCK: "postgres"}, "postgres"),
}


@pytest.mark.parametrize(("variables", "kind"), KINDS_OF_LOCK.values(), ids=KINDS_OF_LOCK.keys())
def test_the_media_lock_reaches_as_far_as_the_storage(variables: dict[str, str], kind: str) -> None:
    found = config.read(variables)
    assert found.lock_kind == kind
    assert not found.lock_fault


def test_a_folder_on_a_network_needs_a_lease_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "filesystem_type", lambda _: "nfs4")
    variables = {app.BACKEND: "/srv/documents"}
    assert config.read(variables).lock_kind == "redis"
    assert config.read({**variables, app.MEDIA_LOCK: "file"}).lock_fault


def test_a_variable_that_is_misspelled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERFLEET_MEDIA_LOK", "redis")
    (warning,) = [one for one in checks.document_storage() if one.id == "paperfleet.W105"]
    assert warning.msg == "no setting has the variable PAPERFLEET_MEDIA_LOK"
    assert warning.hint == "Did you mean PAPERFLEET_MEDIA_LOCK?"


def test_variables_of_a_mirror_in_the_same_environment_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for row in mirror.table().values():
        monkeypatch.setenv(row.variable, "x")
    assert [one for one in checks.document_storage() if one.id == "paperfleet.W105"] == []


def test_a_lock_of_one_host_for_a_bucket_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = config.read({**S3, app.MEDIA_LOCK: "file"})
    assert "keeps out the processes of this host alone" in found.lock_fault
    monkeypatch.setattr(documents, "configuration", found)
    warnings = [message.id for message in checks.document_storage()]
    assert warnings == ["paperfleet.W101"]
    activation.tell_of_lock(found)
    assert "PAPERFLEET_MEDIA_LOCK is file" in caplog.text

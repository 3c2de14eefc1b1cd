"""Counts what each operation of paperless-ngx asks of an S3 server; prints JSON. In a child.

The first argument is the address of the server. Its requests pass through a proxy of this process.
A second one is how many milliseconds each request takes longer; then seconds are printed, too.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.s3 import S3Server
from tests.servers.s3_faults import S3Faults, s3_faults

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT, PDF = b"text", b"%PDF-1.7 archive"


class Counter:
    """Runs operations one after the other."""

    def __init__(self, faults: S3Faults) -> None:
        self._faults = faults
        self.found: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}

    def count(self, name: str, work: Callable[[], Any], *, request: bool = True) -> None:
        """Do the work, as a request has it done or as a task, and note what it asked for."""
        from paperfleet.paperless.documents import looks

        self._faults.heal()
        began = time.monotonic()
        if request:
            with looks.remembering():
                work()
        else:
            work()
        self.seconds[name] = time.monotonic() - began
        self.found[name] = [f"{method} {path}" for method, path in self._faults.requests]


def operations(counter: Counter, folder: Path) -> None:
    """Run all operations on a document that has an archive version."""
    from django.conf import settings
    from django.test import Client

    settings.FILENAME_FORMAT = "{{ title }}"
    consume = importlib.import_module("documents.consumer").consume
    tasks = importlib.import_module("documents.tasks")
    document = importlib.import_module("documents.models").Document
    utils = importlib.import_module("documents.utils")

    def local(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    consume(local("first.pdf", TEXT + b"1"), "first")  # what is found out once in a process
    plain = document.objects.get()

    def rename(one: Any, title: str) -> None:  # noqa: ANN401  # a model
        one.title = title
        one.save()

    counter.count(
        "consume",
        lambda: consume(local("a.pdf", TEXT), "paper", archive=local("b.pdf", PDF)),
        request=False,
    )
    both = document.objects.get(title="paper")
    counter.count("rename, without an archive version", lambda: rename(plain, "one"))
    counter.count("rename, with an archive version", lambda: rename(both, "two"))
    both.refresh_from_db()
    client = Client()
    download = f"/documents/{both.pk}/download/"
    counter.count("download or preview", lambda: b"".join(client.get(download)), request=False)
    metadata = f"/documents/{both.pk}/metadata/"
    counter.count("metadata of a file", lambda: client.get(metadata), request=False)

    def pack() -> None:
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            archive.write(both.source_path, "original.pdf")

    counter.count("bulk download, for each file", pack)
    again = local("again.pdf", PDF + b"2")
    reprocess = tasks.update_document_content_maybe_archive_file
    counter.count("reprocess (store the archive version)", lambda: reprocess(both.pk, again))
    check = utils.compute_checksum
    counter.count("sanity check, for each file", lambda: check(both.source_path), request=False)
    both.refresh_from_db()
    both.delete()
    counter.count("delete (into the trash)", lambda: None)
    counter.count("empty the trash, for each document", lambda: tasks.empty_trash([both.pk]))


def main(endpoint: str, bucket: str, delay: str = "") -> None:
    """Set Django up on the proxy, count, and print."""
    server = S3Server(endpoint, "testing-key", "testing-secret", bucket)
    with s3_faults(server) as (proxied, faults), tempfile.TemporaryDirectory() as folder:
        os.environ["PAPERLESS_DOCUMENT_STORAGE_BACKEND"] = "paperfleet.S3CompatibleBackend"
        os.environ["PAPERLESS_DOCUMENT_STORAGE_OPTIONS"] = json.dumps(proxied.options("counted"))
        import django

        django.setup()
        counter = Counter(faults)
        faults.delay = int(delay or 0) / 1000
        operations(counter, Path(folder))
        both = {"requests": counter.found, "seconds": counter.seconds}
        sys.stdout.write(json.dumps(both if delay else counter.found))


if __name__ == "__main__":
    main(*sys.argv[1:])

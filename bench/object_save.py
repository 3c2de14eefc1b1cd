"""A program: save a large file to a bucket."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.object_clients import Bare, Bucket, Django, Ours


def main() -> None:
    """Read the job from standard input: client, bucket, path, name."""
    job = json.load(sys.stdin)
    bucket = Bucket(**job["bucket"])
    if job["client"] == "bare obstore":
        Bare(bucket).save(job["name"], Path(job["path"]))
        return
    with Path(job["path"]).open("rb") as file:
        if job["client"] == "paperfleet":
            Ours(bucket).storage.save(job["name"], file)
            return
        from django.core.files import File  # noqa: PLC0415  # slow to import

        Django(bucket).storage.save(job["name"], File(file))


if __name__ == "__main__":
    main()

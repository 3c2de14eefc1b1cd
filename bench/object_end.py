"""A program: open a large object and read its last 1 KB."""

from __future__ import annotations

import io
import json
import sys
import time

from bench.object_clients import Bucket, Django, Ours

LAST = 1000


def main() -> None:
    """Read the job from standard input: client, bucket, name; print seconds and bytes read."""
    job = json.load(sys.stdin)
    bucket = Bucket(**job["bucket"])
    storage = (Ours if job["client"] == "paperfleet" else Django)(bucket).storage
    begun = time.perf_counter()
    with storage.open(job["name"]) as stream:
        stream.seek(-LAST, io.SEEK_END)
        data = stream.read()
    json.dump({"seconds": time.perf_counter() - begun, "bytes": len(data)}, sys.stdout)


if __name__ == "__main__":
    main()

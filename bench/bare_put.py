"""A program: send a tree by plain PUTs, with nothing that a mirror needs beside them."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx


def main() -> None:
    """Read the job from standard input: source, url, user, password, connections."""
    job = json.load(sys.stdin)
    source = Path(job["source"])
    paths = sorted(source.rglob("*"))
    limits = httpx.Limits(max_connections=job["connections"])
    with httpx.Client(auth=(job["user"], job["password"]), limits=limits, timeout=120) as client:

        def send(path: Path) -> None:
            url = job["url"] + quote(path.relative_to(source).as_posix())
            client.put(url, content=path.read_bytes()).raise_for_status()

        for folder in (path for path in paths if path.is_dir()):
            url = job["url"] + quote(folder.relative_to(source).as_posix())
            client.request("MKCOL", url).raise_for_status()
        with ThreadPoolExecutor(job["connections"]) as pool:
            list(pool.map(send, (path for path in paths if path.is_file())))


if __name__ == "__main__":
    main()

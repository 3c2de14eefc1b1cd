"""A program: send a tree by plain PUTs, with nothing that a mirror needs beside them."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.bare import BareClient


def main() -> None:
    """Read the job from standard input: source, url, user, password, connections."""
    job = json.load(sys.stdin)
    source = Path(job["source"])
    paths = sorted(source.rglob("*"))
    with BareClient(job["url"], job["user"], job["password"], job["connections"]) as client:

        def send(path: Path) -> None:
            client.ask("PUT", path.relative_to(source).as_posix(), path.read_bytes())

        for folder in (path for path in paths if path.is_dir()):
            client.ask("MKCOL", folder.relative_to(source).as_posix())
        with ThreadPoolExecutor(job["connections"]) as pool:
            list(pool.map(send, (path for path in paths if path.is_file())))


if __name__ == "__main__":
    main()

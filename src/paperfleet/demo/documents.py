"""Real PDFs in folders as paperless-ngx makes them: year, correspondent, title."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

from fpdf import FPDF
from fpdf.enums import XPos, YPos

if TYPE_CHECKING:
    from pathlib import Path

YEARS = (2024, 2025, 2026)
CORRESPONDENTS = ("Stadtwerke", "Müller & Söhne", "Tax Office", "Health Insurance", "Landlord")
TITLES = ("Contract", "Invoice")
PARAGRAPH = (
    "This document was made for the demonstration of Paperfleet. It has a title, a date and some"
    " text, as a scanned letter has after paperless-ngx has read it. "
)


def write_tree(root: Path) -> list[str]:
    """Write about thirty documents; return their names."""
    names = []
    for number, (year, who, title) in enumerate(product(YEARS, CORRESPONDENTS, TITLES), start=1):
        names.append(f"{year}/{who}/{title} {number:03}.pdf")
        write_document(root / names[-1], f"{title} {number:03}", who, year, pages=1 + number % 5)
    return names


def write_document(path: Path, title: str, who: str, year: int, *, pages: int = 1) -> None:
    """Write one PDF in place, as paperless-ngx does; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_pdf(title, who, year, pages))


def _pdf(title: str, who: str, year: int, pages: int) -> bytes:
    pdf = FPDF()
    pdf.set_title(title)
    pdf.set_author(who)
    pdf.set_creation_date(datetime(year, 1, 31, tzinfo=UTC))
    pdf.set_compression(False)
    for page in range(1, pages + 1):
        pdf.add_page()
        pdf.set_font("helvetica", "B", 20)
        pdf.cell(0, 16, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.set_font("helvetica", "", 11)
        pdf.cell(0, 10, f"{who}, {year}, page {page}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.multi_cell(0, 6, PARAGRAPH * 12)
    return bytes(pdf.output())

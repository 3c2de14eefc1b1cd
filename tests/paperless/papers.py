"""Documents to consume: each has a text of its own, so that none is a duplicate."""

from __future__ import annotations

import io
import itertools
import os

from fpdf import FPDF
from PIL import Image, ImageDraw

_numbers = itertools.count(1)


def new_text() -> str:
    """Return a text that no other document has."""
    return f"Invoice {next(_numbers)} {os.urandom(6).hex()} for a barrel of paper clips"


def pdf(text: str = "", pages: int = 1) -> bytes:
    """Return a PDF with a text layer; each page names its number."""
    text = text or new_text()
    made = FPDF()
    made.set_font("Helvetica", size=18)
    for number in range(1, pages + 1):
        made.add_page()
        made.cell(text=f"{text}, page {number}")
    return bytes(made.output())


def plain(text: str = "") -> bytes:
    """Return a text file."""
    return (text or new_text()).encode() + b"\n"


def scan(text: str = "") -> bytes:
    """Return a PNG as a scanner makes it: there is text only for those who read it."""
    image = Image.new("L", (1240, 600), "white")
    ImageDraw.Draw(image).text((80, 200), text or new_text(), fill="black", font_size=34)
    found = io.BytesIO()
    image.save(found, "PNG", dpi=(150, 150))
    return found.getvalue()

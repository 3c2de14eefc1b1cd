"""Pages as an office scans them: grey, 300 dpi, a little askew and noisy, with text."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

DPI = 300
_A4 = (2480, 3508)
_MARGIN, _LINE = 240, 70
_TEXT = (
    "invoice account number date amount due total payment bank transfer customer contract please "
    "find attached the statement for your records thank you order delivery address street city "
    "tax office insurance policy premium period notice medical report school letter receipt of "
    "and to in with from until within days without further reference balance interest rate"
)


def write_scan(path: Path, pages: int, seed: int) -> None:
    """Write a PDF that holds ``pages`` pictures of A4 pages and no text."""
    rng = random.Random(seed)  # noqa: S311  # repeatable, not secret
    first, *others = (_page(rng) for _ in range(pages))
    first.save(path, "PDF", save_all=True, append_images=others, resolution=DPI)


def _page(rng: random.Random) -> Image.Image:
    page = Image.new("L", _A4, 245)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=44)
    for line in range(rng.randint(12, 42)):
        words = " ".join(rng.choices(_TEXT.split(), k=rng.randint(4, 12)))
        draw.text((_MARGIN, _MARGIN + line * _LINE), words, fill=30, font=font)
    askew = page.rotate(rng.uniform(-1.5, 1.5), Image.Resampling.BILINEAR, fillcolor=245)
    noise = Image.frombytes("L", (_A4[0] // 2, _A4[1] // 2), rng.randbytes(_A4[0] * _A4[1] // 4))
    return Image.blend(askew, noise.resize(_A4), 0.06)

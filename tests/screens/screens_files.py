"""The screens as they are checked in: their widgets, texts and PVs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib

import xsp3ioc.screens

FOLDER = Path(xsp3ioc.screens.__file__).parent
FILES = sorted(FOLDER.glob("*.bob"))
PV_TAGS = {"pv_name", "x_pv", "y_pv", "err_pv"}
TITLE_BAR, EDGE = 20, 1
"""What a group with a title takes above and below, and at each side."""
ARROW = 35
"""What a menu needs beside its text."""
PADDING = 6
"""What a button needs at each side of its text."""


@dataclass(frozen=True)
class Place:
    """A widget, and where it is in its parent."""

    element: ET.Element
    parent: ET.Element

    @property
    def kind(self) -> str:
        return self.element.get("type")

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width, height."""
        return tuple(int(self.element.findtext(tag)) for tag in ("x", "y", "width", "height"))

    @property
    def pv(self) -> str:
        return self.element.findtext("pv_name") or ""

    def __str__(self) -> str:
        return f"{self.kind} {self.element.findtext('name')!r} ({self.pv or self.element.findtext('text')})"


def load(path: Path) -> ET.Element:
    return ET.parse(path).getroot()


def places(root: ET.Element) -> Iterator[Place]:
    """All widgets, those in groups too."""
    for element in root.findall("widget"):
        yield Place(element, root)
        yield from places(element)


def inner_size(container: ET.Element) -> tuple[int, int]:
    """Width and height that a screen or group has for its widgets."""
    width, height = int(container.findtext("width")), int(container.findtext("height"))
    if container.tag == "display":
        return width, height
    assert container.findtext("style") == "1", "a group with a title"
    return width - 2 * EDGE, height - TITLE_BAR


def pvs(root: ET.Element) -> set[str]:
    """Every PV that a screen names, also in its rules, with its macros."""
    found = {element.text or "" for element in root.iter() if element.tag in PV_TAGS}
    for rule in root.iter("rule"):
        if rule.get("prop_id").rpartition(".")[2] in PV_TAGS:
            found |= {value.text or "" for value in rule.iter("value")}
    return found - {""}


def opened(root: ET.Element) -> set[str]:
    """Every other screen that it opens or embeds."""
    found = {element.text or "" for element in root.iter("file")}
    for rule in root.iter("rule"):
        if rule.get("prop_id") == "file":
            found |= {value.text for value in rule.iter("value")}
    return found - {""}


def substituted(text: str, **macros: str) -> str:
    """`text` with these macros replaced, by no language of its own: a prefix may have braces."""
    for name, value in macros.items():
        text = text.replace(f"$({name})", value)
    return text


def font(element: ET.Element) -> tuple[float, bool]:
    """Size in pixels, and whether it is bold."""
    described = element.find("font/font")
    return float(described.get("size")), described.get("style") == "BOLD"


def text_width(text: str, size: float, bold: bool) -> float:
    """Pixels in Liberation Sans, whose letters are as wide as Helvetica's."""
    return sum(_widths(bold)[letter] for letter in text) * size / 1000


@cache
def _widths(bold: bool) -> dict[str, int]:
    name = "Helvetica-Bold.afm" if bold else "Helvetica.afm"
    metrics = (Path(matplotlib.get_data_path()) / "fonts" / "pdfcorefonts" / name).read_text()
    return {chr(int(code)): int(width) for code, width in re.findall(r"^C (\d+) ; WX (\d+)", metrics, re.MULTILINE)}

"""The ROIs of a channel: 48, on tabs of 16."""

from __future__ import annotations

from phoebusgen import widget

from xsp3ioc.screens.names import ROIS, Named, named
from xsp3ioc.screens.panel import GAP, MARGIN, ROW, TITLE_BAR, Area, Panel
from xsp3ioc.screens.plot import Plot
from xsp3ioc.screens.screen import OF_CHANNEL, TOP, WIDTH, Screen
from xsp3ioc.screens.spectra import spectrum, switches

PER_TAB = 16
PLOT = 200
TAB_HEIGHT = 30
TABLE_HEIGHT = (1 + PER_TAB) * ROW
PREFIX = "/MCA{chan}ROI:{roi}:"
COLUMNS = (
    # title, record, width, how it is shown
    ("Use", "Use", 75, "state"),
    ("Name", "Name", 150, "text"),
    ("First bin", "MinX", 80, "set"),
    ("", "MinX_RBV", 65, "number"),
    ("Bins", "SizeX", 80, "set"),
    ("", "SizeX_RBV", 65, "number"),
    ("Background", "BgdWidth", 85, "set"),
    ("Total", "Total_RBV", 115, "number"),
    ("Net", "Net_RBV", 115, "number"),
    ("Smallest", "MinValue_RBV", 90, "number"),
    ("Largest", "MaxValue_RBV", 90, "number"),
    ("Mean", "MeanValue_RBV", 90, "number"),
)
NUMBER = 30
CLEAR = 60
TABLE_WIDTH = NUMBER + sum(GAP + width for _, _, width, _ in COLUMNS) + GAP + CLEAR


def tab_file(first: int) -> str:
    """Name the file of the tab that begins with this ROI."""
    return f"xsp3_rois_{first}.bob"


def rois_screen() -> Screen:
    """Make `xsp3_rois`: the spectrum, and the ROIs below it."""
    table = TITLE_BAR + GAP + TAB_HEIGHT + GAP + TABLE_HEIGHT + MARGIN
    plot = TITLE_BAR + GAP + ROW + PLOT + GAP
    screen = Screen("ROIs of channel $(CHAN)  $(P)$(R)", WIDTH, TOP + plot + MARGIN + table + MARGIN)
    screen.links(OF_CHANNEL, "xsp3_rois.bob")
    screen.channels("xsp3_rois.bob")
    _spectrum(Panel(screen, "Spectrum", MARGIN, TOP, WIDTH - 2 * MARGIN, plot))
    _tabs(Panel(screen, "ROIs", MARGIN, TOP + plot + MARGIN, WIDTH - 2 * MARGIN, table))
    return screen


def _spectrum(panel: Panel) -> Plot:
    switches(panel, MARGIN, panel.next())
    return spectrum(panel, GAP, panel.y, panel.width - 2 * GAP, PLOT)


def _tabs(panel: Panel) -> None:
    made = widget.NavigationTabs("Tabs", GAP, GAP, panel.width - 2 * GAP, TAB_HEIGHT + GAP + TABLE_HEIGHT + GAP)
    made.tab_direction_horizontal()
    made.tab_width(100)
    made.tab_height(TAB_HEIGHT)
    made.active_tab(0)
    for first in range(1, ROIS + 1, PER_TAB):
        made.tab(f"{first} - {first + PER_TAB - 1}", tab_file(first), "")
    panel.place(made)


def rois_tab(first: int) -> Screen:
    """Make a tab of 16 ROIs, a row each."""
    screen = Screen(f"ROIs from {first}", TABLE_WIDTH, TABLE_HEIGHT, heading=False)
    x = NUMBER + GAP
    for title, _, width, _ in COLUMNS:
        if title:
            screen.label(title, x, GAP, width, bold=True, centre=True)
        x += width + GAP
    for row in range(PER_TAB):
        _row(screen, first + row, (row + 1) * ROW + GAP)
    return screen


def _row(area: Area, roi: int, y: int) -> None:
    area.label(str(roi), 0, y, NUMBER, bold=True, centre=True)
    x = NUMBER + GAP
    for _, record, width, kind in COLUMNS:
        pv = named(PREFIX + record, roi=roi)
        if kind == "state":
            area.menu(pv, x, y, width)
        elif kind == "number":
            area.number(pv, x, y, width)
        else:
            area.entry(pv, x, y, width, text=kind == "text")
        x += width + GAP
    area.button("Clear", _of(roi, "SizeX"), 0, x, y, CLEAR, more=((_of(roi, "MinX"), 0), (_of(roi, "Name"), "")))


def _of(roi: int, record: str) -> Named:
    return named(PREFIX + record, roi=roi)

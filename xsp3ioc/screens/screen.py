"""A screen: its heading, its way to the other screens, and its text as Phoebus reads it."""

from __future__ import annotations

from phoebusgen import colors, fonts, widget
from phoebusgen.screen import Screen as Display

from xsp3ioc.screens.names import CHANNELS, named
from xsp3ioc.screens.panel import GAP, GREEN, MARGIN, STATES, Area, show_from

WIDTH = 1300
TOP = 115
"""Where the content of a screen begins: below heading, state and links."""
MODEL = 170
"""Width of the detector's model, which says so if it is emulated."""
CONNECTION = ((0, "Disconnected", (255, 0, 255)), (1, "Connected", GREEN))
OF_DETECTOR = (
    ("Main", "xsp3_main.bob"),
    ("All spectra", "xsp3_grid.bob"),
    ("File", "xsp3_file.bob"),
    ("Connection", "xsp3_connect.bob"),
)
OF_CHANNEL = (
    ("Main", "xsp3_main.bob"),
    ("All spectra", "xsp3_grid.bob"),
    ("Spectrum", "xsp3_channel.bob"),
    ("ROIs", "xsp3_rois.bob"),
    ("Time series", "xsp3_tseries.bob"),
)


class Screen(Area):
    """A file of its own; without `heading` it is to be embedded in another."""

    def __init__(self, title: str, width: int, height: int, *, heading: bool = True) -> None:
        display = Display(title)
        display.width(width)
        display.height(height)
        display.predefined_background_color(colors.Background)
        super().__init__(display)
        self.width, self.height = width, height
        if heading:
            self._head(title)

    def _head(self, title: str) -> None:
        made = widget.Label("Title", title, 0, 0, self.width, 40)
        made.predefined_font(fonts.Header1)
        made.predefined_foreground_color(colors.Header_ForeGround)
        made.predefined_background_color(colors.Header_Background)
        made.transparent(False)
        made.horizontal_alignment_center()
        made.vertical_alignment_middle()
        self.place(made)
        self.lamp(named("DetectorState_RBV"), MARGIN, 45, 120, STATES)
        self.lamp(named("CONNECTED"), MARGIN + 125, 45, 120, CONNECTION)
        end = self.width - MARGIN - MODEL
        self.text(named("StatusMessage_RBV"), MARGIN + 250, 45, end - GAP - MARGIN - 250)
        self.text(named("Model_RBV"), end, 45, MODEL)

    def links(self, links: tuple[tuple[str, str], ...], here: str) -> None:
        """Add a row of links to other screens; that to `here` is left out."""
        x = MARGIN
        for text, file in links:
            if file != here:
                self.link(text, file, x, 80, 105, macros={"CHAN": "$(CHAN)"} if links is OF_CHANNEL else None)
                x += 105 + GAP

    def channels(self, file: str, target: str = "replace") -> None:
        """Add links to the channels that there are, each to its `file`."""
        width = 35
        x = self.width - MARGIN - CHANNELS * (width + GAP) + GAP
        self.label("Channel", x - 65, 80, 60)
        for channel in range(1, CHANNELS + 1):
            made = self.link(str(channel), file, x, 80, width, macros={"CHAN": str(channel)}, target=target)
            show_from(made, channel)
            x += width + GAP

    def __str__(self) -> str:
        """Give the text of the file."""
        return str(self.container)

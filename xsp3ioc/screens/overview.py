"""The main screen: start and stop, progress, file, and a line per channel."""

from __future__ import annotations

from xsp3ioc.screens.names import CHANNELS, named
from xsp3ioc.screens.panel import GAP, HEIGHT, MARGIN, ROW, TITLE_BAR, Area, Columns, Panel, show_from
from xsp3ioc.screens.screen import OF_DETECTOR, TOP, WIDTH, Screen

COLUMN = 420
WIDE_STATES = Columns(title=110, setpoint=155, readback=95, unit=25)
"""The trigger modes have long names."""
LINE_FILE = "xsp3_channel_line.bob"
LINE = (
    # title, name, unit, width: what a channel's line shows
    ("Enable", "C{chan}_Enable", 70),
    ("Input", "/C{chan}:ICR_RBV", 95),
    ("Output", "/C{chan}:OCR_RBV", 95),
    ("Dead time", "/C{chan}:DeadTime_RBV", 85),
    ("Factor", "/C{chan}:DTFactor_RBV", 70),
)
LINKS = (("Spectrum", "xsp3_channel.bob", 75), ("ROIs", "xsp3_rois.bob", 55))
NUMBER = 35
HALF = CHANNELS // 2
LINE_WIDTH = NUMBER + sum(width + GAP for *_, width in (*LINE, *LINKS))


def main_screen() -> Screen:
    """Make `xsp3_main`, for any number of channels."""
    rows = 12
    high = Panel.height_of(rows)
    table = TITLE_BAR + GAP + (1 + HALF) * ROW
    screen = Screen("Xspress3  $(P)$(R)", WIDTH, TOP + high + MARGIN + table + MARGIN)
    screen.links(OF_DETECTOR, "xsp3_main.bob")
    screen.channels("xsp3_channel.bob", target="tab")
    _acquisition(Panel(screen, "Acquisition", MARGIN, TOP, COLUMN, high, WIDE_STATES))
    _progress(Panel(screen, "Progress", MARGIN + COLUMN + MARGIN, TOP, COLUMN, high))
    _file(Panel(screen, "File", MARGIN + 2 * (COLUMN + MARGIN), TOP, COLUMN, high))
    _channels(Panel(screen, "Channels", MARGIN, TOP + high + MARGIN, WIDTH - 2 * MARGIN, table))
    return screen


def _acquisition(panel: Panel) -> None:
    acquire = named("Acquire")
    panel.buttons(("Start", acquire, 1), ("Stop", acquire, 0), ("Erase", named("ERASE"), 1), bold=True)
    panel.set_state("Trigger mode", named("TriggerMode"))
    panel.set_state("Image mode", named("ImageMode"))
    panel.set_number("Frames", named("NumImages"))
    panel.set_number("Exposure time", named("AcquireTime"))
    panel.set_state("Software trigger", named("SoftTrigger"))
    panel.set_state("Erase on start", named("EraseOnStart"), readback=False)
    panel.set_state("Wait for file", named("WaitForPlugins"), readback=False)
    panel.set_state("Stop on overrun", named("StopOnOverrun"))
    panel.set_state("Correct data", named("CTRL_DTC"))
    panel.show_number("Mean dead time", named("/MeanDeadTime_RBV"))
    panel.show_number("Max. dead time", named("/MaxDeadTime_RBV"))


def _progress(panel: Panel) -> None:
    bar = panel.show_bar("Frames read", named("ArrayCounter_RBV"))
    bar.rule("full", "maximum", {named("NumImages").readback.pv: True}, {"true": "pv0"}, True)
    panel.show_number("Done by hardware", named("FRAME_COUNT_RBV"))
    panel.show_number("Acquired", named("FramesAcquired"))
    panel.show_number("Streamed", named("FramesStreamed"))
    panel.show_number("Written", named("FramesWritten"))
    panel.show_number("Missing", named("FramesMissing"))
    panel.show_number("Rate", named("ArrayRate_RBV"))
    panel.show_number("Remaining", named("TimeRemaining_RBV"))
    panel.show_bar("Room before loss", named("RingHeadroom"))
    panel.show_number("Lasts for", named("SecondsToOverrun"))
    panel.show_number("Subscribers", named("Subscribers"))
    panel.show_number("Temperature", named("TemperatureActual"))


def _file(panel: Panel) -> None:
    capture = named("/HDF1:Capture")
    panel.buttons(("Open file", capture, 1), ("Close file", capture, 0), bold=True)
    panel.set_text("Directory", named("/HDF1:FilePath"))
    panel.set_text("Name", named("/HDF1:FileName"))
    panel.set_number("Number", named("/HDF1:FileNumber"))
    panel.set_number("Frames per file", named("/HDF1:NumCapture"))
    panel.show_text("Last file", named("/HDF1:FullFileName_RBV"))
    panel.show_number("Frames in file", named("/HDF1:NumCaptured_RBV"))
    panel.show_text("Capturing", named("/HDF1:Capture").readback)
    panel.show_text("Outcome", named("/HDF1:WriteStatus"))
    panel.show_text("Message", named("/HDF1:WriteMessage"))


def _channels(panel: Panel) -> None:
    """Two columns of lines; a line is there only if its channel is, so that nobody looks for PVs that are not."""
    for half in range(2):
        x = MARGIN + half * (LINE_WIDTH + 2 * MARGIN)
        at = x + NUMBER + GAP
        for title, name, width in LINE:
            unit = named(name).unit
            heading = panel.label(f"{title} {unit}".strip(), at, GAP, width, centre=True)
            show_from(heading, half * HALF + 1)
            at += width + GAP
        for row in range(HALF):
            channel = half * HALF + row + 1
            line = panel.embed("", x, GAP + (row + 1) * ROW, LINE_WIDTH, HEIGHT, {"CHAN": str(channel)})
            line.rule("there", "file", {named("MAX_NUM_CHANNELS_RBV").pv: True}, {f"pv0 >= {channel}": LINE_FILE})


def channel_line() -> Screen:
    """Make a channel's line of the main screen."""
    screen = Screen("Channel $(CHAN)", LINE_WIDTH, HEIGHT, heading=False)
    screen.label("$(CHAN)", 0, 0, NUMBER, bold=True, centre=True)
    x = NUMBER + GAP
    for _, name, width in LINE:
        if name.endswith("_RBV"):
            screen.number(named(name), x, 0, width)
        else:
            screen.menu(named(name), x, 0, width)
        x += width + GAP
    _open(screen, x)
    return screen


def _open(area: Area, x: int) -> None:
    for text, file, width in LINKS:
        area.link(text, file, x, 0, width, macros={"CHAN": "$(CHAN)"}, target="tab")
        x += width + GAP

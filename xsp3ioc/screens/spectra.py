"""The spectrum of one channel with its settings, and the spectra of all."""

from __future__ import annotations

from xsp3ioc.screens.names import named
from xsp3ioc.screens.panel import GAP, MARGIN, ROW, Area, Columns, Panel, show_from
from xsp3ioc.screens.plot import ACROSS, BLUE, ORANGE, RED, SCALE, SPECTRA, VIOLET, Plot, Trace
from xsp3ioc.screens.screen import OF_CHANNEL, OF_DETECTOR, TOP, WIDTH, Screen

SIDE = 350
SIDE_COLUMNS = Columns(title=110, setpoint=90, readback=75, unit=35)
SCALERS = (
    "Clock ticks",
    "Reset ticks",
    "Resets",
    "All events",
    "All good",
    "Window 1",
    "Window 2",
    "Pile-up",
    "Event width",
    "DT factor",
    "DT percent",
)
GRIDS = {1: (1, 1), 2: (1, 2), 4: (2, 2), 8: (2, 4), 16: (4, 4)}
"""Channels -> rows and columns."""
GRID_HEIGHT = 860


def spectrum(area: Area, x: int, y: int, width: int, height: int, channel: int | str = "$(CHAN)",
             only_if: tuple[str, str] | None = None) -> Plot:  # fmt: skip
    """Plot the last frame and the sum of a channel, which there may be only if an expression of a PV is true."""
    plot = Plot(area, x, y, width, height, title=f"Channel {channel}")
    plot.axes("Bin", "Counts")
    plot.add(
        Trace("Last frame", named("/MCA{chan}:ArrayData", chan=channel).pv, BLUE, only_if),
        Trace("Sum", named("/MCASUM{chan}:ArrayData", chan=channel).pv, RED, only_if),
    )
    plot.switch_scale()
    plot.switch_traces()
    return plot


def switches(area: Area, x: int, y: int) -> int:
    """Let the user choose scale and spectra; return where there is room again."""
    area.choice(SCALE.named, x, y, 190)
    area.choice(SPECTRA.named, x + 200, y, 270)
    return x + 480


def channel_screen() -> Screen:
    """Make `xsp3_channel`: spectrum, rates, thresholds, windows, calibration, scalers."""
    sizes = [Panel.height_of(rows) for rows in (7, 5, 3)]
    high = sum(sizes) + (len(sizes) - 1) * MARGIN
    below = Panel.height_of(3)
    screen = Screen("Channel $(CHAN)  $(P)$(R)", WIDTH, TOP + high + MARGIN + below + MARGIN)
    screen.links(OF_CHANNEL, "xsp3_channel.bob")
    screen.channels("xsp3_channel.bob")
    width = WIDTH - 3 * MARGIN - SIDE
    _spectrum(Panel(screen, "Spectrum", MARGIN, TOP, width, high))
    y = TOP
    for title, size, fill in zip(
        ("Latest frame", "Thresholds", "Calibration"), sizes, (_rates, _thresholds, _calibration), strict=True
    ):
        fill(Panel(screen, title, MARGIN + width + MARGIN, y, SIDE, size, SIDE_COLUMNS))
        y += size + MARGIN
    _scalers(Panel(screen, "Scalers", MARGIN, TOP + high + MARGIN, WIDTH - 2 * MARGIN, below))
    return screen


def _spectrum(panel: Panel) -> None:
    x = switches(panel, MARGIN, panel.next())
    panel.choice(ACROSS.named, x, GAP, 160)
    plot = spectrum(panel, GAP, panel.y, panel.width - 2 * GAP, panel.height - panel.y - GAP)
    plot.mark(
        (named("C{chan}_SCA4_THRESHOLD").readback, VIOLET),
        (named("C{chan}_SCA5_LLM").readback, ORANGE),
        (named("C{chan}_SCA5_HLM").readback, ORANGE),
        (named("C{chan}_SCA6_LLM").readback, BLUE),
        (named("C{chan}_SCA6_HLM").readback, BLUE),
    )
    plot.switch_across("Energy (eV)", named("/C{chan}:Energy_RBV").pv)


def _rates(panel: Panel) -> None:
    panel.set_state("Enable", named("C{chan}_Enable"))
    panel.show_number("Input rate", named("/C{chan}:ICR_RBV"))
    panel.show_number("Output rate", named("/C{chan}:OCR_RBV"))
    panel.show_number("Dead time", named("/C{chan}:DeadTime_RBV"))
    panel.show_number("DT factor", named("/C{chan}:DTFactor_RBV"))
    panel.show_number("Total ticks", named("/C{chan}:TotalTicks_RBV"))
    panel.show_number("Frame", named("ArrayCounter_RBV"))


def _thresholds(panel: Panel) -> None:
    panel.set_number("Good from", named("C{chan}_SCA4_THRESHOLD"))
    panel.set_number("Window 1 from", named("C{chan}_SCA5_LLM"))
    panel.set_number("Window 1 to", named("C{chan}_SCA5_HLM"))
    panel.set_number("Window 2 from", named("C{chan}_SCA6_LLM"))
    panel.set_number("Window 2 to", named("C{chan}_SCA6_HLM"))


def _calibration(panel: Panel) -> None:
    panel.set_number("Energy at bin 0", named("/C{chan}:EnergyOffset"))
    panel.set_number("Energy per bin", named("/C{chan}:EnergySlope"))
    panel.set_number("Event width", named("/C{chan}:EventWidth"), readback=False)


def _scalers(panel: Panel) -> None:
    width, first = 100, 70
    titles, values, sums = panel.next(), panel.next(), panel.next()
    panel.label("Frame", MARGIN, values, first - GAP)
    panel.label("Sum", MARGIN, sums, first - GAP)
    for index, title in enumerate(SCALERS):
        x = MARGIN + first + index * (width + GAP)
        panel.label(title, x, titles, width, centre=True)
        panel.number(named("/C{chan}SCA:{sca}:Value_RBV", sca=index), x, values, width)
        panel.number(named("/C{chan}SCA:{sca}:ValueSum_RBV", sca=index), x, sums, width)


def grid_screen(channels: int) -> Screen:
    """Make `xsp3_grid_N`: the spectra of at most so many channels, side by side."""
    rows, columns = GRIDS[channels]
    screen = Screen("Spectra  $(P)$(R)", WIDTH, GRID_HEIGHT)
    screen.links(OF_DETECTOR, "xsp3_grid.bob")
    screen.channels("xsp3_channel.bob", target="tab")
    switches(screen, MARGIN, TOP)
    top = TOP + ROW
    width = (WIDTH - MARGIN - (columns + 1) * GAP) // columns // 5 * 5
    height = (GRID_HEIGHT - top - MARGIN - (rows - 1) * GAP) // rows // 5 * 5
    for index in range(channels):
        row, column = divmod(index, columns)
        x, y = MARGIN + column * (width + GAP), top + row * (height + GAP)
        # More than half of them are there: otherwise a smaller grid would do.
        maybe = index > channels // 2
        there = (f"pv0 >= {index + 1}", named("MAX_NUM_CHANNELS_RBV").pv) if maybe else None
        plot = spectrum(screen, x, y, width, height, index + 1, there)
        if maybe:
            show_from(plot.made, index + 1)
    return screen


def grid_chooser() -> Screen:
    """Make `xsp3_grid`: the smallest of the grids that shows all channels."""
    screen = Screen("Spectra  $(P)$(R)", WIDTH, GRID_HEIGHT, heading=False)
    made = screen.embed("", 0, 0, WIDTH, GRID_HEIGHT, {})
    made.rule(
        "as many as there are", "file", {named("MAX_NUM_CHANNELS_RBV").pv: True},
        {f"pv0 <= {channels}": f"xsp3_grid_{channels}.bob" for channels in GRIDS},
    )  # fmt: skip
    return screen

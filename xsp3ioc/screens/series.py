"""Time series of a channel: a point per frame of each scaler and of each ROI."""

from __future__ import annotations

from phoebusgen import widget

from xsp3ioc.screens.names import ROIS, Named, named
from xsp3ioc.screens.panel import GAP, HEIGHT, MARGIN, Panel
from xsp3ioc.screens.plot import BLUE, RED, Plot, Switch, Trace
from xsp3ioc.screens.screen import OF_CHANNEL, TOP, WIDTH, Screen
from xsp3ioc.screens.spectra import SCALERS, SIDE, SIDE_COLUMNS

UPPER = Panel.height_of(18)
LOWER = Panel.height_of(9)
SCALER = Switch("scaler", SCALERS)
ROI = Named("loc://xsp3_roi_$(DID)<VLong>(1)", doc="Number of the ROI that is plotted")
SERIES = "/C{chan}SCA:TS:"
OF_ROIS = "/MCA{chan}ROI:"


def series_screen() -> Screen:
    """Make `xsp3_tseries`: scalers above, ROIs below."""
    screen = Screen("Time series of channel $(CHAN)  $(P)$(R)", WIDTH, TOP + UPPER + LOWER + 2 * MARGIN)
    screen.links(OF_CHANNEL, "xsp3_tseries.bob")
    screen.channels("xsp3_tseries.bob")
    width = WIDTH - 3 * MARGIN - SIDE
    side = MARGIN + width + MARGIN
    lower = TOP + UPPER + MARGIN
    _scaler_plot(Panel(screen, "Series of a scaler", MARGIN, TOP, width, UPPER))
    _scalers(Panel(screen, "Scalers", side, TOP, SIDE, UPPER, SIDE_COLUMNS))
    _roi_plot(Panel(screen, "Series of an ROI", MARGIN, lower, width, LOWER))
    _rois(Panel(screen, "ROIs", side, lower, SIDE, LOWER, SIDE_COLUMNS))
    return screen


def _plot(panel: Panel, trace: Trace) -> Plot:
    plot = Plot(panel, GAP, panel.y, panel.width - 2 * GAP, panel.height - panel.y - GAP)
    plot.axes("Frame", "Value")
    plot.add(trace)
    return plot


def _scaler_plot(panel: Panel) -> None:
    y = panel.next()
    panel.label("Scaler", MARGIN, y, 60)
    panel.menu(SCALER.named, MARGIN + 65, y, 150)
    pvs = [named("/C{chan}SCA:{sca}:TSArrayValue", sca=index).pv for index in range(len(SCALERS))]
    _plot(panel, Trace("", pvs[0], BLUE)).switch_pv(SCALER.named.pv, list(enumerate(pvs)))


def _scalers(panel: Panel) -> None:
    acquire = named(SERIES + "TSAcquire")
    panel.buttons(("Start", acquire, 1), ("Stop", acquire, 0), bold=True)
    panel.show_text("State", named(SERIES + "TSAcquiring"))
    panel.show_number("Points so far", named(SERIES + "TSCurrentPoint"))
    panel.set_number("Points at most", named(SERIES + "TSNumPoints"), readback=False)
    panel.set_state("When full", named(SERIES + "TSAcquireMode"), readback=False)
    panel.buttons(("Read now", named(SERIES + "TSRead"), 1), ("Zero sums", named("/C{chan}SCA:Reset"), 1))
    c, y = panel.columns, panel.next()
    width = (c.end - c.x[0] - GAP) // 2 // 5 * 5
    second = c.x[0] + width + GAP
    panel.label("Frame", c.x[0], y, width, centre=True)
    panel.label("Sum", second, y, width, centre=True)
    for index, title in enumerate(SCALERS):
        y = panel.next()
        panel.label(title, MARGIN, y, c.title)
        panel.number(named("/C{chan}SCA:{sca}:Value_RBV", sca=index), c.x[0], y, width)
        panel.number(named("/C{chan}SCA:{sca}:ValueSum_RBV", sca=index), second, y, width)


def _roi_plot(panel: Panel) -> None:
    y = panel.next()
    panel.label("ROI", MARGIN, y, 60)
    spinner = widget.Spinner(panel.name("Spinner"), ROI.pv, MARGIN + 65, y, 80, HEIGHT)
    spinner.minimum(1)
    spinner.maximum(ROIS)
    spinner.limits_from_pv(False)
    panel.place(spinner, ROI.doc)
    pvs = [(roi, named("/MCA{chan}ROI:{roi}:TSTotal", roi=roi).pv) for roi in range(1, ROIS + 1)]
    _plot(panel, Trace("", pvs[0][1], RED)).switch_pv(ROI.pv, pvs)


def _rois(panel: Panel) -> None:
    control = named(OF_ROIS + "TSControl")
    panel.buttons(("Erase and start", control, 0), ("Stop", control, 2), bold=True)
    panel.buttons(("Go on", control, 1), ("Read now", control, 3), ("Erase", control, 4))
    panel.show_text("State", named(OF_ROIS + "TSAcquiring"))
    panel.show_number("Points so far", named(OF_ROIS + "TSCurrentPoint"))
    panel.set_number("Points at most", named(OF_ROIS + "TSNumPoints"), readback=False)
    panel.buttons(("Zero totals", named(OF_ROIS + "ResetAll"), 1))

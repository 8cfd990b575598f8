"""Plots of arrays, and the buttons that change what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phoebusgen import fonts, widget

from xsp3ioc.screens.names import Named
from xsp3ioc.screens.panel import Area

BLUE = (0, 90, 200)
RED = (200, 40, 40)
ORANGE = (220, 130, 0)
VIOLET = (140, 60, 180)


@dataclass(frozen=True)
class Trace:
    """One curve: its name in the legend, its PV, its colour."""

    name: str
    pv: str
    colour: tuple[int, int, int]
    only_if: tuple[str, str] | None = None
    """Expression and its PV: the curve's PV is looked for only where this is true."""


@dataclass(frozen=True)
class Switch:
    """A choice that only the screen knows: a local PV, numbered like its choices."""

    name: str
    choices: tuple[str, ...]

    @property
    def named(self) -> Named:
        """Its PV: each window has its own."""
        choices = ", ".join(f'"{choice}"' for choice in self.choices)
        return Named(f"loc://xsp3_{self.name}_$(DID)<VEnum>(0, {choices})")


SCALE = Switch("scale", ("Linear", "Logarithmic"))
SPECTRA = Switch("spectra", ("Last frame", "Sum", "Both"))
ACROSS = Switch("across", ("Bin", "Energy"))


class Plot:
    """A plot of arrays over their index, or over the array `x`."""

    def __init__(self, area: Area, x: int, y: int, width: int, height: int, *, title: str = "") -> None:
        self.made = widget.XYPlot(area.name("Plot"), x, y, width, height)
        if title:
            self.made.title(title)
            self.made.predefined_title_font(fonts.Header3)
        self._traces = self._marks = 0
        area.place(self.made)

    def axes(self, across: str, up: str) -> None:
        """Title the axes."""
        x_axis, y_axis = widget.XYPlotXAxis(), widget.XYPlotYAxis()
        for axis, title in ((x_axis, across), (y_axis, up)):
            axis.title(title)
            axis.auto_scale(True)
            axis.show_grid(True)
            axis.predefined_title_font(fonts.DefaultBold)
            axis.predefined_scale_font(fonts.Default)
        self.made.add_x_axis(x_axis)
        self.made.add_y_axis(y_axis)

    def add(self, *traces: Trace) -> None:
        """Draw these."""
        for trace in traces:
            made = widget.XYPlotTrace()
            made.name(trace.name)
            made.y_pv("" if trace.only_if else trace.pv)
            made.axis(0)
            made.trace_type_line()
            made.color(*trace.colour)
            made.line_width(1)
            self.made.add_trace(made)
            if trace.only_if:
                expression, pv = trace.only_if
                self.made.rule("there", f"traces[{self._traces}].y_pv", {pv: True}, {expression: trace.pv})
            self._traces += 1

    def mark(self, *marks: tuple[Named, tuple[int, int, int]]) -> None:
        """Draw a line at the value of each PV, which the mouse cannot move."""
        for named, colour in marks:
            made = widget.Marker()
            made.color(*colour)
            made.pv_name(named.pv)
            made.interactive(False)
            self.made.add_marker(made)
            self._marks += 1

    def switch_scale(self, switch: Switch = SCALE) -> None:
        """Let the switch make the axis logarithmic."""
        self.made.rule("scale", "y_axes[0].log_scale", {switch.named.pv: True}, {"pv0 == 1": "true"})

    def switch_traces(self, switch: Switch = SPECTRA) -> None:
        """Let the switch hide the second curve (0), the first (1), or none."""
        for trace, hidden in ((0, 1), (1, 0)):
            self.made.rule("shown", f"traces[{trace}].visible", {switch.named.pv: True}, {f"pv0 == {hidden}": "false"})

    def switch_across(self, title: str, pv: str, switch: Switch = ACROSS) -> None:
        """Let the switch show all curves over another array; the lines, which are bins, are not to be seen then."""
        when = {switch.named.pv: True}
        self.made.rule("title", "x_axis.title", when, {"pv0 == 1": title})
        for trace in range(self._traces):
            self.made.rule("across", f"traces[{trace}].x_pv", when, {"pv0 == 1": pv})
        for mark in range(self._marks):
            self.made.rule("seen", f"marker[{mark}].visible", when, {"pv0 == 1": "false"})

    def switch_pv(self, switch_pv: str, pvs: Sequence[tuple[int, str]]) -> None:
        """Let the value of a PV choose what the first curve shows."""
        self.made.rule("shown", "traces[0].y_pv", {switch_pv: True}, {f"pv0 == {value}": pv for value, pv in pvs})

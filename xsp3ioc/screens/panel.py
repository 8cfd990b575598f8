"""Widgets on a grid, and groups of rows: title, setpoint, readback, unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phoebusgen import colors, fonts, widget

from xsp3ioc.screens.names import Named
from xsp3ioc.screens.names import named as find

ROW = 30
"""Distance of rows."""
HEIGHT = 25
"""Of a widget in a row; what is left is the gap."""
GAP = 5
MARGIN = 10
TITLE_BAR = 20
"""What the bar with a group's title takes of its height: 1.2 times the font's size, and borders."""
EDGE = 1
GREEN = (60, 200, 60)
GREY = (170, 170, 170)
STATES = (
    (0, "Idle", GREY),
    (1, "Acquire", GREEN),
    (2, "Readout", GREEN),
    (3, "Correct", GREEN),
    (4, "Saving", GREEN),
    (5, "Aborting", (255, 128, 0)),
    (6, "Error", (255, 0, 0)),
    (7, "Waiting", (120, 200, 255)),
    (8, "Initializing", (120, 200, 255)),
    (9, "Disconnected", (255, 0, 255)),
    (10, "Aborted", (255, 128, 0)),
)
"""Value, name and colour of the detector's states."""


@dataclass(frozen=True)
class Columns:
    """Widths of what stands in a row."""

    title: int = 145
    setpoint: int = 110
    readback: int = 95
    unit: int = 35

    @property
    def x(self) -> tuple[int, int, int]:
        """Where setpoint, readback and unit begin."""
        setpoint = MARGIN + self.title + GAP
        readback = setpoint + self.setpoint + GAP
        return setpoint, readback, readback + self.readback + GAP

    @property
    def end(self) -> int:
        """Where all rows end."""
        return self.x[2] + self.unit

    @property
    def both(self) -> int:
        """Width of setpoint and readback together."""
        return self.setpoint + GAP + self.readback


def show_from(made: Any, channel: int) -> None:
    """Show a widget only if the detector has so many channels."""
    made.rule("there", "visible", {find("MAX_NUM_CHANNELS_RBV").pv: True}, {f"pv0 < {channel}": "false"})


class Area:
    """What widgets can be placed on: a screen, or a group of it."""

    width: int

    def __init__(self, container: Any) -> None:
        self.container = container
        self._count = 0

    def place(self, made: Any, doc: str = "") -> Any:
        """Add a widget of phoebusgen; `doc` is said when the mouse is on it."""
        if doc:
            made.tool_tip(f"{doc}\n$(pv_name)\n$(pv_value)" if made.find_element("pv_name") is not None else doc)
        self.container.add_widget(made)
        return made

    def name(self, kind: str) -> str:
        """Name the next widget: unique within the area."""
        self._count += 1
        return f"{kind} {self._count}"

    def label(self, text: str, x: int, y: int, width: int, height: int = HEIGHT, *, bold: bool = False,
              centre: bool = False) -> Any:  # fmt: skip
        """Write a fixed text."""
        made = widget.Label(self.name("Label"), text, x, y, width, height)
        made.predefined_font(fonts.DefaultBold if bold else fonts.Default)
        made.vertical_alignment_middle()
        if centre:
            made.horizontal_alignment_center()
        return self.place(made)

    def number(self, named: Named, x: int, y: int, width: int, height: int = HEIGHT) -> Any:
        """Show a number or a state; its unit stands elsewhere."""
        made = self._reading(named, x, y, width, height)
        made.horizontal_alignment_right()
        return self.place(made, named.doc)

    def text(self, named: Named, x: int, y: int, width: int, height: int = HEIGHT) -> Any:
        """Show a text, be it a string or an array of characters."""
        made = self._reading(named, x, y, width, height)
        made.format("string")
        return self.place(made, named.doc)

    def _reading(self, named: Named, x: int, y: int, width: int, height: int) -> Any:
        made = widget.TextUpdate(self.name("Readback"), named.pv, x, y, width, height)
        made.predefined_font(fonts.Default)
        made.predefined_background_color(colors.Read_Background)
        made.show_units(False)
        made.wrap_words(False)
        made.vertical_alignment_middle()
        made.alarm_border(True)
        return made

    def entry(self, named: Named, x: int, y: int, width: int, *, text: bool = False) -> Any:
        """Give a field to type a number or a text into."""
        made = widget.TextEntry(self.name("Entry"), named.pv, x, y, width, HEIGHT)
        made.version("3.0.0")
        made.predefined_font(fonts.Default)
        made.predefined_background_color(colors.Write_Background)
        made.show_units(False)
        made.alarm_border(True)
        if text:
            made.format("string")
        else:
            made.horizontal_alignment_right()
        return self.place(made, named.doc)

    def menu(self, named: Named, x: int, y: int, width: int) -> Any:
        """Let the user choose one of the PV's states from a list."""
        made = widget.ComboBox(self.name("Menu"), named.pv, x, y, width, HEIGHT)
        made.predefined_font(fonts.Default)
        made.predefined_background_color(colors.Write_Background)
        made.items_from_pv(True)
        made.alarm_border(True)
        return self.place(made, named.doc)

    def choice(self, named: Named, x: int, y: int, width: int) -> Any:
        """Let the user choose one of the PV's states, all side by side."""
        made = widget.ChoiceButton(self.name("Choice"), named.pv, x, y, width, HEIGHT)
        made.predefined_font(fonts.Default)
        made.selected_color(*GREEN)
        made.horizontal(True)
        made.items_from_pv(True)
        made.alarm_border(True)
        return self.place(made, named.doc)

    def button(self, text: str, named: Named, value: int, x: int, y: int, width: int, height: int = HEIGHT, *,
               confirm: str = "", more: Sequence[tuple[Named, int | str]] = (), bold: bool = False) -> Any:  # fmt: skip
        """Write `value` (and `more`) when pressed, `confirm` answered with yes."""
        made = widget.ActionButton(self.name("Button"), text, named.pv, x, y, width, height)
        made.predefined_font(fonts.DefaultBold if bold else fonts.Default)
        made.action_write_pv(named.pv, value, text)
        for other, its_value in more:
            made.action_write_pv(other.pv, its_value, text)
        if more:
            made.action_execute_as_one(True)
        if confirm:
            made.confirmation_dialog(confirm)
        self.place(made)
        made.tool_tip(f"{named.doc}\n$(pv_name)" if named.doc else "$(pv_name)")
        return made

    def link(self, text: str, file: str, x: int, y: int, width: int, height: int = HEIGHT, *,
             macros: Mapping[str, str] | None = None, target: str = "replace") -> Any:  # fmt: skip
        """Open another screen; P and R go with it."""
        made = widget.ActionButton(self.name("Link"), text, "", x, y, width, height)
        made.predefined_font(fonts.Default)
        made.action_open_display(file, target, text, dict(macros or {}))
        self.place(made)
        made.tool_tip(file)
        return made

    def bar(self, named: Named, x: int, y: int, width: int, *, high: float = 100) -> Any:
        """Show a number as a bar from 0 to `high`."""
        made = widget.ProgressBar(self.name("Bar"), named.pv, x, y, width, HEIGHT)
        made.fill_color(*GREEN)
        made.limits_from_pv(False)
        made.minimum(0)
        made.maximum(high)
        made.alarm_border(True)
        return self.place(made, named.doc)

    def lamp(self, named: Named, x: int, y: int, width: int, states: Sequence[tuple[int, str, tuple[int, int, int]]],
             height: int = HEIGHT) -> Any:  # fmt: skip
        """Show a state by text and colour."""
        made = widget.LEDMultiState(self.name("Lamp"), named.pv, x, y, width, height)
        made.predefined_font(fonts.Default)
        made.square(True)
        for value, text, colour in states:
            made.state(value, text, *colour)
        made.alarm_border(True)
        return self.place(made, named.doc)

    def embed(self, file: str, x: int, y: int, width: int, height: int, macros: Mapping[str, str]) -> Any:
        """Show another screen within this one."""
        made = widget.EmbeddedDisplay(self.name("Embedded"), file, x, y, width, height)
        for key, value in macros.items():
            made.macro(key, value)
        made.crop_content()
        return self.place(made)


class Panel(Area):
    """A group with a title, filled row by row."""

    def __init__(self, parent: Area, title: str, x: int, y: int, width: int, height: int,
                 columns: Columns | None = None) -> None:  # fmt: skip
        group = widget.Group(title, x, y, width, height)
        group.style_title_bar()
        group.predefined_font(fonts.DefaultBold)
        group.predefined_foreground_color(colors.Header_ForeGround)
        group.predefined_line_color(colors.Header_Background)
        group.predefined_background_color(colors.Background)
        parent.place(group)
        super().__init__(group)
        self.width = (width - 2 * EDGE) // 5 * 5
        self.height = height - TITLE_BAR
        """What there is for its widgets."""
        self.columns = columns or Columns()
        self.y = GAP

    @staticmethod
    def height_of(rows: int) -> int:
        """Return the height of a panel with so many rows."""
        return TITLE_BAR + GAP + rows * ROW

    def next(self, rows: int = 1) -> int:
        """Return where the next row begins; go on below it."""
        y = self.y
        self.y += rows * ROW
        return y

    def _titled(self, title: str, named: Named) -> int:
        y = self.next()
        self.label(title, MARGIN, y, self.columns.title)
        if named.unit:
            self.label(named.unit, self.columns.x[2], y, self.columns.unit)
        return y

    def set_number(self, title: str, named: Named, *, readback: bool = True) -> None:
        """Add a row with a number to set; without `readback` there is only the field."""
        y, c = self._titled(title, named), self.columns
        self.entry(named, c.x[0], y, c.setpoint)
        if readback:
            self.number(named.readback, c.x[1], y, c.readback)

    def set_state(self, title: str, named: Named, *, readback: bool = True) -> None:
        """Add a row with a state to choose; without `readback` there is only the list."""
        y, c = self._titled(title, named), self.columns
        self.menu(named, c.x[0], y, c.setpoint if readback else c.both)
        if readback:
            self.text(named.readback, c.x[1], y, c.end - c.x[1])

    def set_text(self, title: str, named: Named, shown: Named | None = None) -> None:
        """Add two rows: a text to set, and below it what has become of it, or `shown`."""
        y, c = self._titled(title, Named("")), self.columns
        self.entry(named, c.x[0], y, c.end - c.x[0], text=True)
        self.text(shown or named.readback, c.x[0], self.next(), c.end - c.x[0])

    def show_number(self, title: str, named: Named) -> None:
        """Add a row with a number to read."""
        y, c = self._titled(title, named), self.columns
        self.number(named, c.x[0], y, c.both)

    def show_text(self, title: str, named: Named) -> None:
        """Add a row with a text to read."""
        y, c = self._titled(title, Named("")), self.columns
        self.text(named, c.x[0], y, c.end - c.x[0])

    def show_bar(self, title: str, named: Named, *, high: float = 100) -> Any:
        """Add a row with a bar and its value; return the bar."""
        y, c = self._titled(title, named), self.columns
        made = self.bar(named, c.x[0], y, c.setpoint, high=high)
        self.number(named, c.x[1], y, c.readback)
        return made

    def buttons(self, *texts: tuple[str, Named, int], height: int = HEIGHT, bold: bool = False) -> None:
        """Add a row of buttons of one width: text, PV, and the value it writes."""
        y = self.next()
        step = (self.columns.end - MARGIN + GAP) // len(texts) // 5 * 5
        for number, (text, named, value) in enumerate(texts):
            x = MARGIN + number * step
            width = self.columns.end - x if number == len(texts) - 1 else step - GAP
            self.button(text, named, value, x, y, width, height, bold=bold)

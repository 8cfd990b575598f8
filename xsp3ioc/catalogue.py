"""The records that the areaDetector driver's clients know, as data: one line of `data/records.tsv` per record."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from xsp3ioc.stream.parameter import SLOTS, STRING_LENGTH, Index, Parameter, Severity, place

_INPUT_TYPES = {
    "bo": "ENUM", "bi": "ENUM", "mbbo": "ENUM", "mbbi": "ENUM", "busy": "ENUM",
    "longout": "LONG", "longin": "LONG", "asyn": "LONG", "seq": "LONG", "sseq": "LONG", "fanout": "LONG",
    "ao": "DOUBLE", "ai": "DOUBLE", "calc": "DOUBLE", "calcout": "DOUBLE", "dfanout": "DOUBLE",
    "stringout": "STRING", "stringin": "STRING",
}  # fmt: skip
"""Channel Access type of a record's value, where it does not say so itself (FTVL)."""
STATES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")
_ROOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Row:
    """One line: a record, or as many as there are channels, ROIs or scalers."""

    pv: str
    """Name after `$(P)`, with `{chan}`, `{roi}`, `{sca}`."""
    record_type: str
    writable: bool
    choices: tuple[str, ...]
    first: str
    """What a client reads after the start."""
    fields: dict[str, str]
    doc: str
    tier: str
    """A, B: clients need it; C, D: it is there."""
    put: str
    autosave: tuple[str, ...]

    @cached_property
    def native(self) -> str:
        """The Channel Access type: ENUM, LONG, DOUBLE, STRING or CHAR."""
        return self.fields.get("FTVL") or _INPUT_TYPES[self.record_type]

    @cached_property
    def is_array(self) -> bool:
        """A waveform of numbers."""
        return "FTVL" in self.fields and self.native != "CHAR" and self.count > 1

    @cached_property
    def count(self) -> int:
        """Elements at most."""
        return int(self.fields.get("NELM", 1))

    @cached_property
    def unit(self) -> str:
        """Engineering unit."""
        return self.fields.get("EGU", "")

    @cached_property
    def precision(self) -> int:
        """Digits behind the point."""
        return int(self.fields.get("PREC", 0))

    @cached_property
    def scan(self) -> str:
        """How often it is processed, as a choice of menuScan."""
        return self.fields.get("BOOT.SCAN") or self.fields.get("SCAN", "Passive")

    @cached_property
    def drive_limits(self) -> tuple[float, float]:
        """Lowest and highest value that a put may have; equal ones are none."""
        return self._limits("DRVL", "DRVH")

    @cached_property
    def display_limits(self) -> tuple[float, float]:
        """Ends of a scale."""
        return self._limits("LOPR", "HOPR")

    def _limits(self, low: str, high: str) -> tuple[float, float]:
        return self._number(low), self._number(high)

    def _number(self, field: str) -> float:
        return float(self.fields.get(f"BOOT.{field}") or self.fields.get(field) or 0)

    @cached_property
    def severities(self) -> dict[int, Severity]:
        """Alarm severity by state."""
        two = len(self.choices) == 2 and self.record_type in ("bi", "bo", "busy")
        names = ("Z", "O") if two else STATES
        return {
            state: Severity[self.fields[f"{name}SV"].lower()]
            for state, name in enumerate(names)
            if f"{name}SV" in self.fields
        }

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of what it counts: nothing, `chan`, or `chan` and a key of SLOTS."""
        return tuple(_ROOT.findall(self.pv))

    def indices(self, channels: int) -> Iterator[Index]:
        """Whose records it stands for."""
        match self.axes:
            case []:
                yield None
            case [_]:
                yield from range(channels)
            case [_, slot]:
                yield from ((channel, k) for channel in range(channels) for k in range(SLOTS[slot]))

    def first_value(self, index: Index) -> Any:
        """Return what a client reads after the start, before anything else is known."""
        text = self.first
        if '" for ' in text:  # "x" for sca 0-7; "y" 8; ...
            slot = index[1] if isinstance(index, tuple) else 0
            text = next(
                name
                for name, low, high in re.findall(r'("[^"]*")(?: for sca)? (\d+)(?:-(\d+))?', text)
                if int(low) <= slot <= int(high or low)
            )
        text = place(text, index)
        if self.native in ("CHAR", "STRING"):
            return text.strip('"')
        if text.startswith("["):
            return [] if self.is_array else 0
        if difference := re.fullmatch(r"(\d+)-1", text):
            text = str(int(difference[1]) - 1)
        return float(text) if self.native == "DOUBLE" else int(float(text or 0))

    def parameter(self) -> Parameter:
        """Return a declaration that accepts what the record accepts."""
        default: Any = {"DOUBLE": 0.0, "STRING": "", "CHAR": ""}.get(self.native, 0)
        low, high = self.drive_limits
        parameter = Parameter(
            default,
            self.doc,
            pv="/" + self.pv,
            low=low if low < high else None,
            high=high if low < high else None,
            choices=self.choices,
            length=self.count if self.native == "CHAR" else STRING_LENGTH if self.native == "STRING" else 0,
            per_channel=bool(self.axes),
            per=self.axes[1] if len(self.axes) > 1 else "",
        )
        object.__setattr__(parameter, "name", self.pv)
        return parameter


@cache
def rows() -> tuple[Row, ...]:
    """Return all lines, in their order."""
    with (resources.files("xsp3ioc") / "data" / "records.tsv").open(encoding="utf-8") as file:
        return tuple(_row(line) for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _row(line: dict[str, str]) -> Row:
    # In the order of the states; the numbers are values of their own (`Automatic` is -1).
    choices = [choice.split("=", 1)[1] for choice in line["enum_strings"].split("|") if choice]
    if not choices and line["record_type"] in ("bo", "bi"):
        choices = ["", ""]
    return Row(
        line["pv"],
        line["record_type"],
        line["access"] == "rw",
        tuple(choices),
        line["default"],
        dict(re.findall(r"([A-Z.]+)=(.*?)(?= [A-Z.]+=|$)", line["units_precision_limits"])),
        line["meaning"],
        line["tier"],
        line["put_callback"],
        tuple(line["autosave"].split()),
    )

"""PV names with their macros, and what the table of records says about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from xsp3ioc.records import READBACK, Record, alias_names, all_records
from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.parameter import parameters

CHANNELS = 16
"""Most channels of a detector: every screen serves any number up to it."""
ROIS = 48
P, R = "$(P)", "$(R)"


@dataclass(frozen=True)
class Named:
    """A PV as a screen needs it."""

    pv: str
    """With macros: `$(P)$(R)NumImages`."""
    unit: str = ""
    doc: str = ""

    @property
    def readback(self) -> Named:
        """The record that tells what the setpoint has become."""
        return Named(self.pv + READBACK, self.unit, self.doc)


def named(name: str, chan: int | str = "$(CHAN)", roi: int = 1, sca: int = 0) -> Named:
    """Find a PV by the name that a `Parameter` has: relative to `$(P)$(R)`, or to `$(P)` if it begins with `/`.

    ValueError if no server has it. Without `chan` it is that of the channel which the macro CHAN says.
    """
    full = P + name[1:] if name.startswith("/") else P + R + name
    # Not format(): a prefix may have braces.
    full = full.replace("{roi}", str(roi)).replace("{sca}", str(sca))
    record = _records().get(full.replace("{chan}", "1"))
    if record is None:
        raise ValueError(f"there is no record {name}")
    parameter = record.parameter
    return Named(full.replace("{chan}", str(chan)), parameter.unit or record.unit, parameter.doc)


@cache
def _records() -> dict[str, Record]:
    """Every record of a detector with one channel, by its name and its aliases."""
    found = all_records(parameters(Declared).values(), 1, P, R)
    return {name: record for record in found for name in (record.name, *alias_names(record, P, R))}

"""Fields of records (`.DESC`, `.EGU`, `.RTYP` and the like), made only for those that a client asks for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import caproto
from caproto import AccessRights, AlarmStatus, SubscriptionType

from xsp3ioc.catalogue import STATES
from xsp3ioc.records import Record, fit
from xsp3ioc.stream.parameter import STRING_LENGTH
from xsp3ioc.stream.putlog import note, said

if TYPE_CHECKING:
    from xsp3ioc.channels import Served

SCAN_MENU = (
    "Passive", "Event", "I/O Intr", "10 second", "5 second", "2 second", "1 second", ".5 second", ".2 second",
    ".1 second",
)  # fmt: skip
TYPE_MENU = (
    "STRING", "CHAR", "UCHAR", "SHORT", "USHORT", "LONG", "ULONG", "INT64", "UINT64", "FLOAT", "DOUBLE", "ENUM",
)  # fmt: skip
SEVERITY_MENU = ("NO_ALARM", "MINOR", "MAJOR", "INVALID")
STATUS_MENU = tuple(status.name for status in AlarmStatus)[:16]
"""As many as a record's menu can have on the wire."""
_UNITS = 16
"""Characters of a unit as a field; in a value's metadata there are fewer."""

Maker = Callable[["Served", Record], caproto.ChannelData]


class _Field:
    writer: Callable[..., Any] | None = None
    low: float = -sys.float_info.max
    high: float = sys.float_info.max
    """What may be written."""
    _data: dict[str, Any]

    def check_access(self, hostname: str, username: str) -> AccessRights:
        return AccessRights.READ if self.writer is None else AccessRights.READ | AccessRights.WRITE

    def keep(self, sent: Any) -> Any:
        """Show from now on what a client has sent, and return it; ValueError if it is no such value."""
        old = self._data["value"]
        if isinstance(old, str):
            new: Any = fit(bytes(sent).decode("utf-8", "replace"), STRING_LENGTH - 1).decode()
        elif not isinstance(sent, bytes):
            new = type(old)(sent)
        elif (text := sent.decode("latin-1")) in (names := getattr(self, "enum_strings", ())):
            new = names.index(text)
        else:
            new = type(old)(float(text))
        if not isinstance(new, str) and not self.low <= new <= self.high:  # no number is neither
            raise ValueError(f"{new} is outside {self.low:g}..{self.high:g}")
        self._data["value"] = new
        return new


class TextField(_Field, caproto.ChannelString):
    """A field of text."""


class NumberField(_Field, caproto.ChannelDouble):
    """A field of a number."""


class CountField(_Field, caproto.ChannelInteger):
    """A field of a whole number."""

    low, high = -(2**31), 2**31 - 1


class DigitsField(CountField):
    """How many digits are shown."""

    low, high = 0, 15


class MenuField(_Field, caproto.ChannelEnum):
    """A field with choices."""

    low = 0

    @property
    def high(self) -> float:  # type: ignore[override]
        """Number of the last choice."""
        return len(self.enum_strings) - 1


class LengthField(CountField):
    """How many elements there are now."""

    def __init__(self, owner: Any):
        super().__init__(value=owner.length)
        self._owner = owner

    async def read(self, data_type: Any) -> Any:
        """Count at the moment of reading."""
        await self._owner.refresh()
        self._data["value"] = self._owner.length
        return await super().read(data_type)


class AlarmField(MenuField):
    """How bad the value is now, or why."""

    def __init__(self, owner: Any, what: str, names: tuple[str, ...]):
        super().__init__(value=int(getattr(owner.alarm, what)), enum_strings=names)
        self._owner, self._what = owner, what

    async def read(self, data_type: Any) -> Any:
        """Look at the moment of reading."""
        await self._owner.refresh()
        self._data["value"] = int(getattr(self._owner.alarm, self._what))
        return await super().read(data_type)


def make_field(channel: Served, field: str) -> caproto.ChannelData:
    """Make the channel of `record.FIELD`, or raise KeyError where no record has such a field."""
    made = _MAKERS[field](channel, channel.record)
    if field == "PROC":
        made.writer = partial(_process, made, channel)
    elif field in _WRITABLE:
        made.writer = partial(_write, made, channel, _WRITABLE[field])
    return made


def _write(field: Any, owner: Served, metadata: str, value: Any, who: str) -> Future[None]:
    """Take a field's new value, as an IOC does until it ends; `metadata` of the record's own value follows."""
    future: Future[None] = Future()
    old = said(field.value)
    new = field.keep(value[0])
    note(who, owner.record.name, said(new), old)
    if metadata:
        owner.describe(metadata, fit(new, 7).decode() if metadata == "units" else new)
    posted = asyncio.ensure_future(field.publish(SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG))
    posted.add_done_callback(lambda _: future.set_result(None))
    return future


def _process(field: Any, owner: Served, value: Any, who: str) -> Future[Any]:
    """Do again what the last put has done, whatever is written."""
    field.keep(value[0])
    return owner.table.process(owner.record, who)


def _text(value: Callable[[Record], str], longest: int = STRING_LENGTH - 1) -> Maker:
    return lambda _, record: TextField(
        value=fit(value(record), longest).decode(), string_encoding="utf-8", long_string_max_length=64
    )


def _number(value: Callable[[Record], float]) -> Maker:
    def make(_: Any, record: Record) -> caproto.ChannelData:
        whole = record.native in ("LONG", "ENUM", "STRING", "CHAR")
        return CountField(value=int(value(record))) if whole else NumberField(value=value(record))

    return make


def _no_limit(channel: Any, record: Record) -> caproto.ChannelData:
    """Make a limit of alarms or monitors, of which there are none; KeyError where a record has no such field."""
    if record.is_array or record.native not in ("LONG", "DOUBLE"):
        raise KeyError
    return _number(lambda _: 0)(channel, record)


def _count(value: Callable[[Record], int]) -> Maker:
    return lambda _, record: CountField(value=value(record))


def _menu(names: tuple[str, ...], value: Callable[[Record], str]) -> Maker:
    return lambda _, record: MenuField(value=names.index(value(record)), enum_strings=names)


def _state(number: int) -> Maker:
    """Name of a state of an enumeration; KeyError for any other record."""

    def make(channel: Any, record: Record) -> caproto.ChannelData:
        if record.native != "ENUM":
            raise KeyError
        return _text(lambda record: record.choices[number] if number < len(record.choices) else "", 25)(channel, record)

    return make


_MAKERS: dict[str, Maker] = {
    "NAME": _text(lambda record: record.name, 60),
    "DESC": _text(lambda record: record.doc),
    "RTYP": _text(lambda record: record.record_type),
    "EGU": _text(lambda record: record.unit, _UNITS),
    "PREC": lambda _, record: DigitsField(value=record.precision),
    "HOPR": _number(lambda record: record.display_limits[1]),
    "LOPR": _number(lambda record: record.display_limits[0]),
    "DRVH": _number(lambda record: record.drive_limits[1]),
    "DRVL": _number(lambda record: record.drive_limits[0]),
    "SCAN": _menu(SCAN_MENU, lambda record: record.scan),
    "PROC": _count(lambda _: 0),
    "DISA": _count(lambda _: 0),
    "DISP": _count(lambda record: int("DISP" in record.row.fields) if record.row is not None else 0),
    "UDF": _count(lambda _: 0),
    "SEVR": lambda channel, _: AlarmField(channel, "severity", SEVERITY_MENU),
    "STAT": lambda channel, _: AlarmField(channel, "status", STATUS_MENU),
    "NELM": _count(lambda record: record.count),
    "NORD": lambda channel, _: LengthField(channel),
    "FTVL": _menu(TYPE_MENU, lambda record: record.native),
    **dict.fromkeys(("HIHI", "HIGH", "LOW", "LOLO", "ADEL", "MDEL"), _no_limit),
    "ZNAM": _state(0),
    "ONAM": _state(1),
    **{f"{name}ST": _state(number) for number, name in enumerate(STATES)},
}
_WRITABLE = {
    "DESC": "", "EGU": "units", "PREC": "precision", "HOPR": "upper_disp_limit", "LOPR": "lower_disp_limit",
    "DRVH": "upper_ctrl_limit", "DRVL": "lower_ctrl_limit", "SCAN": "", "DISA": "",
}  # fmt: skip
"""Fields that a client may write, and what of the record's values follows."""

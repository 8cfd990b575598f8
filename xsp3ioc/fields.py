"""Fields of records (`.DESC`, `.EGU`, `.RTYP` and the like), made only for those that a client asks for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import caproto
from caproto import AccessRights

from xsp3ioc.records import Record, fit
from xsp3ioc.stream.parameter import STRING_LENGTH

if TYPE_CHECKING:
    from xsp3ioc.channels import Served

SCAN_MENU = (
    "Passive", "Event", "I/O Intr", "10 second", "5 second", "2 second", "1 second", ".5 second", ".2 second",
    ".1 second",
)  # fmt: skip
TYPE_MENU = (
    "STRING", "CHAR", "UCHAR", "SHORT", "USHORT", "LONG", "ULONG", "INT64", "UINT64", "FLOAT", "DOUBLE", "ENUM",
)  # fmt: skip


class _ReadOnly:
    writer: Callable[..., Any] | None = None

    def check_access(self, hostname: str, username: str) -> AccessRights:
        return AccessRights.READ if self.writer is None else AccessRights.READ | AccessRights.WRITE


class TextField(_ReadOnly, caproto.ChannelString):
    """A field of text."""


class NumberField(_ReadOnly, caproto.ChannelDouble):
    """A field of a number."""


class CountField(_ReadOnly, caproto.ChannelInteger):
    """A field of a whole number."""


class MenuField(_ReadOnly, caproto.ChannelEnum):
    """A field with choices."""


class LengthField(CountField):
    """How many elements there are now."""

    def __init__(self, owner: caproto.ChannelData):
        super().__init__(value=owner.length)
        self._owner = owner

    async def read(self, data_type: Any) -> Any:
        """Count at the moment of reading."""
        self._data["value"] = self._owner.length
        return await super().read(data_type)


def make_field(channel: Served, field: str) -> caproto.ChannelData:
    """Make the channel of `record.FIELD`, or raise KeyError where the record has no such field."""
    return _MAKERS[field](channel, channel.record)


def _text(value: Callable[[Record], str]) -> Callable[[Any, Record], TextField]:
    return lambda _, record: TextField(
        value=fit(value(record), STRING_LENGTH - 1).decode(), string_encoding="utf-8", long_string_max_length=64
    )


def _number(value: Callable[[Record], float]) -> Callable[[Any, Record], caproto.ChannelData]:
    def make(_: Any, record: Record) -> caproto.ChannelData:
        if record.native not in ("LONG", "DOUBLE"):
            raise KeyError
        kind = NumberField if record.native == "DOUBLE" else CountField
        return kind(value=value(record))

    return make


def _count(value: Callable[[Record], int]) -> Callable[[Any, Record], CountField]:
    return lambda _, record: CountField(value=value(record))


def _menu(names: tuple[str, ...], value: Callable[[Record], str]) -> Callable[[Any, Record], MenuField]:
    return lambda _, record: MenuField(value=names.index(value(record)), enum_strings=names)


def _waveform(make: Callable[[Any, Record], caproto.ChannelData]) -> Callable[[Any, Record], caproto.ChannelData]:
    def only_there(channel: Any, record: Record) -> caproto.ChannelData:
        if record.record_type != "waveform":
            raise KeyError
        return make(channel, record)

    return only_there


def _precision(_: Any, record: Record) -> CountField:
    if record.native != "DOUBLE":
        raise KeyError
    return CountField(value=record.parameter.precision)


def _unit(channel: Any, record: Record) -> TextField:
    if record.native not in ("LONG", "DOUBLE", "CHAR"):
        raise KeyError
    return _text(lambda record: record.parameter.unit)(channel, record)


def _process(_: Any, record: Record) -> CountField:
    # Clients write .PROC to have a value read again; ours are always posted, so there is nothing to do.
    def done(value: Any, who: str) -> Future[None]:
        future: Future[None] = Future()
        future.set_result(None)
        return future

    field = CountField(value=0)
    field.writer = done
    return field


def _low(record: Record) -> float:
    return record.limits[0] if record.limits else 0


def _high(record: Record) -> float:
    return record.limits[1] if record.limits else 0


_MAKERS: dict[str, Callable[[Any, Record], caproto.ChannelData]] = {
    "NAME": _text(lambda record: record.name),
    "DESC": _text(lambda record: record.parameter.doc),
    "RTYP": _text(lambda record: record.record_type),
    "EGU": _unit,
    "PREC": _precision,
    "HOPR": _number(_high),
    "LOPR": _number(_low),
    "DRVH": _number(_high),
    "DRVL": _number(_low),
    "SCAN": _menu(SCAN_MENU, lambda record: "Passive" if record.writable else "I/O Intr"),
    "PROC": _process,
    "DISA": _count(lambda _: 0),
    "UDF": _count(lambda _: 0),
    "NELM": _waveform(_count(lambda record: record.count)),
    "NORD": _waveform(lambda channel, _: LengthField(channel)),
    "FTVL": _waveform(_menu(TYPE_MENU, lambda record: record.native)),
}

"""Records as caproto channels: what clients read, and where their writes go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import caproto
from caproto import AccessRights, AlarmSeverity, AlarmStatus, SubscriptionType, native_type

from xsp3ioc.aliases import today
from xsp3ioc.autosave_plain import PlainSettings
from xsp3ioc.fields import make_field
from xsp3ioc.plain import Plain
from xsp3ioc.records import DETECTOR, Record, alias_names, all_records, fit, to_wire
from xsp3ioc.sent import as_sent
from xsp3ioc.stream.parameter import Index, Parameter, Severity, Update
from xsp3ioc.wire import TIME_METADATA, to_array

Write = Callable[[Any, str], "Future[Any]"]
"""Takes the value as the client sent it and who sent it ("user@host"); ends when the work that it started has ended."""



class Core(Protocol):
    """What the records need of the detector."""

    parameters: dict[str, Parameter]
    values: dict[str, Any]
    channels: int

    def get(self, name: str, index: Index = None) -> Any:
        """Return a value as it is now."""

    def put(self, name: str, value: Any, index: Index = None, who: str = "") -> Future[Any]:
        """Enqueue a write; the future ends when its work is done."""

    def say(self, text: str, severity: Severity) -> None:
        """Show and log a message."""

    def subscribe(self, callback: Callable[[Update], None]) -> Any:
        """Have every change told, from any thread."""


_NOTHING = SubscriptionType(0)
_VALUE = SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG
_BREATH = 16
"""Records posted before clients' requests get their turn: about 1 ms."""
_UNITS = 7
"""Bytes of a unit on the wire, without the final zero."""


class Served:
    """What every channel of ours can do, whatever its type.

    Values are never taken from a client's write: caproto's own `write`, with its limits and its put-back of alarms, is
    not used at all. A write goes to the core, and what the core says is posted.
    """

    record: Record
    writer: Write | None = None
    """None: read-only."""
    derive: Callable[[], Any] | None = None
    """Makes the value when it is wanted, where the detector does not keep it."""
    table: ChannelTable
    seen = 0
    """Number of the update that it shows."""
    _data: dict[str, Any]

    @property
    def watched(self) -> bool:
        """Whether somebody has subscribed."""
        return any(specs for syncs in self._queues.values() for types in syncs.values() for specs in types.values())  # type: ignore[attr-defined]

    def check_access(self, hostname: str, username: str) -> AccessRights:
        """Tell clients what they may do, so that their screens show it."""
        return AccessRights.READ if self.writer is None else AccessRights.READ | AccessRights.WRITE

    def get_field(self, field: str) -> caproto.ChannelData:
        """`.FIELD` of the record, made when a client first asks for it; KeyError if there is none."""
        return self if field == "VAL" else make_field(self, field)

    def describe(self, metadata: str, value: Any) -> None:
        """Change what goes with the value: units, precision, limits."""
        if metadata in self._data:
            self._data[metadata] = value

    async def refresh(self) -> None:
        """Show what was told last: nobody posts to a record that is not watched."""
        await self.table.refresh(self)
        if self.derive is not None:
            self._data["value"] = to_wire(self.record, self.derive())
            self._content.clear()  # type: ignore[attr-defined]

    async def read(self, data_type: Any) -> Any:
        """Return what a client gets."""
        await self.refresh()
        return await super().read(data_type)  # type: ignore[misc]

    async def subscribe(self, *arguments: Any) -> None:
        """Begin a subscription with the value of now."""
        await self.refresh()
        self.table.watch(self)
        await super().subscribe(*arguments)  # type: ignore[misc]

    async def _read(self, data_type: Any) -> Any:
        time_metadata = TIME_METADATA.get(data_type)
        if time_metadata is None or native_type(data_type) != self.data_type:  # type: ignore[attr-defined]
            return await super()._read(data_type)  # type: ignore[misc]
        # Monitors ask for this type, and caproto's way to it takes longer than all the rest of an update.
        stamp, alarm = self._data["timestamp"], self.alarm  # type: ignore[attr-defined]
        packed = time_metadata.pack(alarm.status, alarm.severity, stamp.secondsSinceEpoch, stamp.nanoSeconds)
        return caproto.DBR_TYPES[data_type].from_buffer_copy(packed), to_array(self.data_type, self._data["value"])  # type: ignore[attr-defined]

    async def post(
        self, value: Any, stamp: caproto.TimeStamp, severity: Severity, status: AlarmStatus, always: bool
    ) -> None:
        """Show a value; monitors hear of it if it differs from the last, or always."""
        self._data["timestamp"] = stamp
        value = to_wire(self.record, value)
        flags = _NOTHING
        if always or self.record.is_array or value != self._data["value"]:
            self._data["value"] = value
            flags = _VALUE
        alarm = self.alarm  # type: ignore[attr-defined]
        if alarm.severity != severity or alarm.status != status:
            await alarm.write(severity=severity, status=status, publish=False)
            flags |= SubscriptionType.DBE_ALARM
        if flags:
            await self.publish(flags)  # type: ignore[attr-defined]


class EnumChannel(Served, caproto.ChannelEnum):
    """States by name."""


class IntegerChannel(Served, caproto.ChannelInteger):
    """A whole number of 32 bits."""


class DoubleChannel(Served, caproto.ChannelDouble):
    """A number, or an array of them."""


class StringChannel(Served, caproto.ChannelString):
    """Text of up to 39 characters."""


class TextChannel(Served, caproto.ChannelByte):
    """Long text, as an array of characters with a final zero."""


_CLASSES: dict[str, type] = {
    "ENUM": EnumChannel,
    "LONG": IntegerChannel,
    "DOUBLE": DoubleChannel,
    "STRING": StringChannel,
    "CHAR": TextChannel,
}


def make_channel(record: Record, value: Any, writer: Write | None, at: float, severity: Severity) -> Served:
    """Make the channel of one record, showing `value` of that time and severity."""
    severity, status = alarm_of(record, value, severity)
    options: dict[str, Any] = {
        "value": to_wire(record, value),
        "timestamp": at,
        "max_length": record.count,
        "reported_record_type": record.record_type,
    }
    if severity:
        options["alarm"] = caproto.ChannelAlarm(severity=AlarmSeverity(severity), status=status)
    if record.native == "ENUM":
        options["enum_strings"] = record.choices
    elif record.native == "CHAR":
        options["strip_null_terminator"] = False
    else:
        options["string_encoding"] = "utf-8"
    if record.native in ("LONG", "DOUBLE"):
        options["units"] = fit(record.unit, _UNITS).decode()
        low, high = record.drive_limits
        options |= {"lower_ctrl_limit": low, "upper_ctrl_limit": high}
        low, high = record.display_limits
        options |= {"lower_disp_limit": low, "upper_disp_limit": high}
    if record.native == "DOUBLE":
        options["precision"] = record.precision
    channel = _CLASSES[record.native](**options)
    channel.record = record
    if writer is not None:
        channel.writer = writer
    return channel


def alarm_of(record: Record, value: Any, severity: Severity) -> tuple[Severity, AlarmStatus]:
    """Severity and status to show with a value: the update's, or the record's for this value if that is worse."""
    if record.severities and not record.is_array:
        severity = max(severity, record.severities.get(value, Severity.good))
    if not severity:
        return severity, AlarmStatus.NO_ALARM
    return severity, AlarmStatus.STATE if record.native == "ENUM" else AlarmStatus.SOFT


class ChannelTable(dict[str, Any]):
    """All channels of a detector, by record name: each made when a client first asks for it."""

    def __init__(self, core: Core, tell: Callable[[Update], None], prefix: str, r: str, legacy: bool = False):
        """`tell` shows changes of plain records; `legacy`: the names of the vendor's old server too."""
        super().__init__()
        self._core = core
        self._prefix, self._r, self._legacy = prefix, r, legacy
        self._plain = Plain(tell, lambda text: core.say(text, Severity.minor))
        self._records: dict[str, Record] = {}
        for record in all_records(core.parameters.values(), core.channels, prefix, r):
            self._records[record.name] = record
            for alias in alias_names(record, prefix, r):
                self._records[alias] = record
        self._watched: dict[str, list[Served]] = {}
        """By parameter: those that somebody has subscribed to."""
        self._posted = 0
        self._began = time.time()
        self._told: dict[tuple[str, Index, bool], tuple[int, Update]] = {}
        """The last update of each parameter and index, refused or not, and its number: for records not watched."""

    def plain_settings(self) -> PlainSettings:
        """Return what is to be saved of the plain records."""
        return PlainSettings(self._plain, self._records.values())

    def __missing__(self, name: str) -> Any:
        """Make the channel of a record; KeyError if there is none of that name."""
        record = self._records.get(name) or self._older(name)
        channel = self.get(record.name) or self._make(record)
        self[record.name] = self[name] = channel
        return channel

    def _older(self, name: str) -> Record:
        if not name.startswith(self._prefix):
            raise KeyError(name)
        meant = today(name[len(self._prefix) :], self._legacy)
        return self._records[self._prefix + meant.replace(DETECTOR, self._r, 1)]

    def _make(self, record: Record) -> Served:
        value = self._plain.get(record) if record.plain else self._core.get(record.parameter.name, record.index)
        writer = self._writer(record) if record.writable else None
        channel = make_channel(record, value, writer, self._began, Severity.good)
        channel.table = self
        if record.parameter.derived:
            channel.derive = partial(self._core.get, record.parameter.name, record.index)
        return channel

    def watch(self, channel: Served) -> None:
        """Post updates to a channel from now on."""
        watched = self._watched.setdefault(channel.record.parameter.name, [])
        if channel not in watched:
            watched.append(channel)

    async def refresh(self, channel: Served) -> None:
        """Show on a channel the last update of its parameter."""
        name, index = channel.record.parameter.name, channel.record.index
        places = {index, index[0] if isinstance(index, tuple) else None, None}
        kinds = (False, True) if channel.record.writable else (False,)
        told = [found for place in places for kind in kinds if (found := self._told.get((name, place, kind)))]
        if told:
            number, update = max(told, key=itemgetter(0))
            await self._show(channel, number, update, caproto.TimeStamp.from_unix_timestamp(update.time))

    def _writer(self, record: Record) -> Write:
        text = record.native in ("CHAR", "STRING")

        def write(value: Any, who: str) -> Future[Any]:
            sent = value if record.is_array else as_sent(value, text)
            if record.plain:
                return self._plain.put(record, sent, who)
            return self._core.put(record.parameter.name, sent, record.index, who)

        return write

    def process(self, record: Record, who: str) -> Future[Any]:
        """Put a record's value again, as it is."""
        if record.writable and not record.plain:
            value = self._core.get(record.parameter.name, record.index)
            return self._core.put(record.parameter.name, value, record.index, who)
        nothing: Future[Any] = Future()
        nothing.set_result(None)
        return nothing

    async def post(self, update: Update) -> None:
        """Show an update on every record of its parameter that somebody watches."""
        self._posted += 1
        number = self._posted
        self._told[update.name, update.index, update.refused] = number, update
        watched = self._watched.get(update.name)
        if not watched:
            return
        stamp = caproto.TimeStamp.from_unix_timestamp(update.time)
        for done, channel in enumerate(list(watched), 1):
            if not channel.watched:
                watched.remove(channel)
            elif update.covers(channel.record.index):
                await self._show(channel, number, update, stamp)
            if done % _BREATH == 0:
                await asyncio.sleep(0)

    async def _show(self, channel: Served, number: int, update: Update, stamp: caproto.TimeStamp) -> None:
        record = channel.record
        if number <= channel.seen or (update.refused and not record.writable):
            return
        channel.seen = number
        value = channel.derive() if channel.derive else update.part(record.index)
        if update.refused:
            await channel.post(value, stamp, Severity.invalid, AlarmStatus.WRITE, always=True)
        else:
            severity = update.severity if record.shows else Severity.good
            await channel.post(value, stamp, *alarm_of(record, value, severity), always=False)

"""A record as a caproto channel: what clients read, and where their writes go."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import caproto
from caproto import AccessRights, AlarmSeverity, AlarmStatus, SubscriptionType, native_type

from xsp3ioc.fields import make_field
from xsp3ioc.records import Record, fit, to_wire
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.wire import TIME_METADATA, to_array

if TYPE_CHECKING:
    from xsp3ioc.channel_table import ChannelTable

Write = Callable[[Any, str], "Future[Any]"]
"""Takes the value as the client sent it and who sent it ("user@host"); ends when the work that it started has ended."""

_NOTHING = SubscriptionType(0)
_VALUE = SubscriptionType.DBE_VALUE | SubscriptionType.DBE_LOG
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

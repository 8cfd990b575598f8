"""The channels of all records: each made when it is asked for, and updated while somebody watches it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import caproto
from caproto import AlarmStatus

from xsp3ioc.aliases import today
from xsp3ioc.autosave_plain import PlainSettings
from xsp3ioc.channels import Served, Write, alarm_of, make_channel
from xsp3ioc.plain import Plain
from xsp3ioc.records import DETECTOR, Record, alias_names, all_records
from xsp3ioc.sent import as_sent
from xsp3ioc.stream.parameter import Index, Parameter, Severity, Update

_BREATH = 16
"""Records posted before clients' requests get their turn: about 1 ms."""


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

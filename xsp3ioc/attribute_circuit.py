"""The connection to one Channel Access server, and the records on it that NDAttributes name."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import caproto
import numpy as np
from caproto import ChannelType, SubscriptionType

from xsp3ioc.stream.attribute_values import Wanted
from xsp3ioc.stream.attributes import Value

log = logging.getLogger(__name__)

CONNECT_PATIENCE = 5.0
SILENCE = 30.0
"""Seconds without a word from the server after which it is asked whether it is there."""
ECHO_PATIENCE = 5.0
LARGEST = 1 << 16
"""Bytes of a message: of a long text the first part is asked for, of an array the first element."""
LONGEST_TEXT = 256


class RecordCircuit:
    """Records of one server: `add` and `remove` them, while `run` follows them until the connection ends."""

    def __init__(
        self,
        server: tuple[str, int],
        show: Callable[[Wanted, Value], None],
        lost: Callable[[set[Wanted]], None],
    ) -> None:
        """`show` takes their values, `lost` those that the server has not any more."""
        self.server = server
        self.records: dict[Wanted, caproto.ClientChannel] = {}
        self._show = show
        self._lost = lost
        self._circuit = caproto.VirtualCircuit(caproto.CLIENT, server, 0)
        self._subscriptions: dict[int, Wanted] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._understood = False
        """It has said something that a server says."""

    def add(self, wanted: Wanted) -> None:
        """Follow a record."""
        channel = self.records[wanted] = caproto.ClientChannel(wanted.pv, self._circuit)
        if self._writer is not None:
            self._send(channel.create())

    def remove(self, wanted: Wanted) -> None:
        """Follow it no longer."""
        channel = self.records.pop(wanted, None)
        if channel is None:
            return
        if self._writer is None or channel.states[caproto.CLIENT] is not caproto.CONNECTED:
            return
        # Not only the channel: a caproto server would go on to serve the subscription, and not serve the next one.
        for number in [number for number, one in self._subscriptions.items() if one == wanted]:
            del self._subscriptions[number]
            self._send(channel.unsubscribe(number))
        self._send(channel.clear())

    async def run(self) -> None:
        """Connect and follow the records; OSError or TimeoutError when the connection is lost."""
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*self.server), CONNECT_PATIENCE)
        self._writer = writer
        try:
            self._send(
                caproto.VersionRequest(0, caproto.DEFAULT_PROTOCOL_VERSION),
                caproto.HostNameRequest(socket.gethostname()),
                caproto.ClientNameRequest("xsp3ioc"),
                *(channel.create() for channel in self.records.values()),
            )
            while True:
                data = await self._read(reader)
                commands, needed = self._circuit.recv(data)
                if needed > LARGEST:
                    raise ValueError(f"a message of {needed} bytes")
                for command in commands:
                    if command is caproto.DISCONNECTED:
                        raise ConnectionResetError("closed by the server")
                    self._process(command)
                    self._understood = True
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        if not self._understood:
            return await asyncio.wait_for(reader.read(LARGEST), CONNECT_PATIENCE)
        try:
            return await asyncio.wait_for(reader.read(LARGEST), SILENCE)
        except asyncio.TimeoutError:
            self._send(caproto.EchoRequest())
        return await asyncio.wait_for(reader.read(LARGEST), ECHO_PATIENCE)

    def _send(self, *commands: Any) -> None:
        if self._writer is not None:
            self._writer.write(b"".join(self._circuit.send(*commands)))

    def _process(self, command: Any) -> None:
        self._circuit.process_command(command)
        if isinstance(command, caproto.EventAddResponse):
            wanted = self._subscriptions.get(command.subscriptionid)
            if wanted is not None:
                self._show(wanted, value_of(command))
        elif isinstance(command, caproto.CreateChanResponse):
            self._subscribe(command.cid)
        elif isinstance(command, caproto.CreateChFailResponse | caproto.ServerDisconnResponse):
            gone = {one for one, channel in self.records.items() if channel.cid == command.cid}
            for one in gone:
                del self.records[one]
            self._lost(gone)

    def _subscribe(self, cid: int) -> None:
        found = next(((one, channel) for one, channel in self.records.items() if channel.cid == cid), None)
        if found is None:
            return  # removed while it was being created
        wanted, channel = found
        native, count = channel.native_data_type, 1
        if native == ChannelType.CHAR and channel.native_data_count > 1:
            count = min(channel.native_data_count, LONGEST_TEXT)
        elif wanted.as_text:
            native = ChannelType.STRING
        request = channel.subscribe(native, count, mask=SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM)
        self._subscriptions[request.subscriptionid] = wanted
        self._send(request)


def value_of(response: caproto.EventAddResponse) -> Value:
    """Return the value in a monitor's message: text, or the first number; None: there is none."""
    if not response.status.success:
        return None
    data = response.data
    if len(data) == 0:
        return None
    if response.data_type == ChannelType.STRING:
        return _decode(data[0])
    if response.data_type == ChannelType.CHAR and len(data) > 1:
        return _decode(np.asarray(data, np.int8).tobytes())
    number: Value = np.asarray(data).flat[0].item()
    return number


def _decode(raw: bytes) -> str:
    raw = raw.split(b"\0", 1)[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")

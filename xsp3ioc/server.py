"""The Channel Access server: it answers searches, accepts clients and carries every posted value to those who asked."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import caproto
from caproto._utils import apply_arr_filter, apply_deadband_filter, get_address_and_port_from_string
from caproto.asyncio.server import Context
from caproto.asyncio.utils import _TransportWrapper
from caproto.server.common import DisconnectedCircuit, Subscription, SubscriptionSpec

from xsp3ioc import network
from xsp3ioc.access import WriteAccess
from xsp3ioc.circuit import Circuit
from xsp3ioc.wire import event_message

log = logging.getLogger(__name__)

_FIRST_BEACON, _LAST_BEACON = 0.02, 15.0
"""Seconds between beacons: doubled each time, as the Channel Access specification says."""


@dataclass(frozen=True)
class Address:
    """Where the server is, and what finds it."""

    listen: str
    tcp_port: int
    search_port: int

    def environment(self, local: bool = True) -> dict[str, str]:
        """Return what a client sets to find this server, on this host or from another."""
        host = self.listen if self.listen != network.ANY else "127.0.0.1" if local else socket.gethostname()
        return {
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            # Of several servers on one host only one hears what is sent to the host's address, all hear a broadcast.
            "EPICS_CA_ADDR_LIST": (network.broadcast_addresses(host) or [host])[0] if local else host,
            "EPICS_CA_SERVER_PORT": str(self.search_port),
        }


class _Direct:
    """Stands for caproto's queue of updates: they go to the clients' outboxes at once.

    The queue and its task would let a reply overtake the updates before it.
    """

    def __init__(self, deliver: Callable[..., Any]):
        self._deliver = deliver

    async def put(self, item: Any) -> None:
        await self._deliver(*item)


class Server(Context):
    """A caproto server on one address.

    `after_updates(reply, future)` is called in any thread when a write has ended; it has `reply(future)` called in the
    loop's thread behind all updates that were handed over before.
    """

    CircuitClass = Circuit

    def __init__(
        self,
        channels: dict[str, Any],
        after_updates: Callable[[Callable[[Any], None], Any], None],
        listen: str,
        port: int | None = None,
        access: WriteAccess | None = None,
    ):
        super().__init__(channels, [listen])
        self.after_updates = after_updates
        self.access = access or WriteAccess()
        self.subscription_queue = _Direct(self._subscription_queue_iteration)
        self._listen = listen
        if port is not None:
            self.ca_server_port = port
        elif "EPICS_CAS_SERVER_PORT" in os.environ:
            self.ca_server_port = self.environ["EPICS_CAS_SERVER_PORT"]
        self._listener: asyncio.Server | None = None
        self._transports: list[asyncio.DatagramTransport] = []

    async def start(self) -> Address:
        """Listen; afterwards every client finds the server. OSError if the address is not ours."""
        sock = network.listen_tcp(self._listen, self.ca_server_port)
        self.port = sock.getsockname()[1]
        self._listener = await asyncio.start_server(self._accept, sock=sock)
        await self._bind(self._listen)
        if self._listen != network.ANY:
            # A socket on one address does not hear what is broadcast to its network. Searches for several servers on
            # one host are broadcast: of those to one address only one server hears.
            for broadcast in network.broadcast_addresses(self._listen):
                await self._bind(broadcast)
        self.server_tasks.create(self._beacons())
        return Address(self._listen, self.port, self.ca_server_port)

    async def close(self) -> None:
        """Stop listening, and say goodbye to all clients."""
        if self._listener is not None:
            self._listener.close()
        for transport in self._transports:
            transport.close()
        for circuit in list(self.circuits):
            await circuit.close()
            await circuit.tasks.cancel_all()
        await self.server_tasks.cancel_all(wait=True)

    async def _bind(self, address: str) -> None:
        sock = network.bind_udp(address, self.ca_server_port)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: network.Datagrams(self._searched), sock=sock
        )
        self._transports.append(transport)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _TransportWrapper(reader, writer)
        # A client may be gone again before it is accepted: then it has no address.
        address = client.getpeername()
        if address is None:
            client.close()
        else:
            self.server_tasks.create(self.tcp_handler(client, address))

    async def tcp_handler(self, client: Any, addr: tuple[str, int]) -> None:
        """Serve one client until it goes."""
        circuit = Circuit(caproto.VirtualCircuit(caproto.SERVER, addr, None), client, self)
        self.circuits.add(circuit)
        await circuit.run()
        try:
            while circuit.connected:
                await circuit.recv()
        except (DisconnectedCircuit, ConnectionError):
            pass
        except Exception as problem:
            if isinstance(problem.__cause__, ConnectionError):
                return  # it went without a word: killed, or too busy for one
            log.warning("Closing the connection of %s:%d, not a Channel Access client: %s", *addr, problem)
        finally:
            await circuit.close()
            await circuit.tasks.cancel_all()

    def _searched(self, data: bytes, address: tuple[str, int]) -> None:
        if address[0] in self.ignore_addresses:
            return
        try:
            commands = self.broadcaster.recv(data, address)
            replies = [
                # No address: clients take that of the datagram.
                caproto.SearchResponse(self.port, None, command.cid, caproto.DEFAULT_PROTOCOL_VERSION)
                for command in commands
                if isinstance(command, caproto.SearchRequest) and self.serves(command.name)
            ]
            if not replies:
                return
            if any(isinstance(command, caproto.VersionRequest) for command in commands):
                replies.insert(0, caproto.VersionResponse(caproto.DEFAULT_PROTOCOL_VERSION))
            self._transports[0].sendto(self.broadcaster.send(*replies), address)
        except Exception as problem:
            log.debug("A datagram from %s:%d is not a search: %s", *address, problem)

    def serves(self, name: str) -> bool:
        """Whether there is a record, or a field of one, of that name."""
        try:
            return self[name] is not None
        except KeyError:
            return False

    async def _beacons(self) -> None:
        targets = self.environ["EPICS_CAS_BEACON_ADDR_LIST"].split()
        if self.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"].upper() != "NO":
            targets += network.broadcast_addresses(self._listen)
        pause = _FIRST_BEACON
        while True:
            beacon = caproto.Beacon(caproto.DEFAULT_PROTOCOL_VERSION, self.port, self.beacon_count, "0.0.0.0")
            for target in targets:
                address = get_address_and_port_from_string(target, self.environ["EPICS_CAS_BEACON_PORT"])
                self._transports[0].sendto(bytes(beacon), address)
            self.beacon_count += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_BEACON)

    async def _subscription_queue_send(
        self, sub_spec: SubscriptionSpec, sub: Subscription, metadata: Any, values: Any, flags: int
    ) -> None:
        # Of caproto's own: the queue that it awaits here stops all clients when one client's is full.
        if flags and not flags & sub.mask:
            return
        values = apply_arr_filter(sub.channel_filter.arr, values)
        if sub.channel_filter.dbnd is not None:
            tracked = apply_deadband_filter(
                previous_value=self.last_dead_band.get(sub), new_value=values, sub=sub, flags=flags,
                host_endian=">" if sys.byteorder == "big" else "<",
            )  # fmt: skip
            if tracked is None:
                return
            self.last_dead_band[sub] = tracked
        sub.circuit.outbox.update(sub.subscriptionid, event_message(sub, metadata, values))

"""A small Channel Access client in the server's own loop: it follows the records that NDAttributes name."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import caproto
import numpy as np

from xsp3ioc import network
from xsp3ioc.attribute_circuit import RecordCircuit
from xsp3ioc.records import alias_names, live_records
from xsp3ioc.stream.attribute_sources import as_written
from xsp3ioc.stream.attribute_values import RecordValues, Wanted
from xsp3ioc.stream.parameter import Index, Parameter, Update

log = logging.getLogger(__name__)

FIRST_PAUSE, LAST_PAUSE = 0.03, 15.0
"""Seconds between two searches for a record that nobody has: doubled each time."""
PAUSE = 0.5
"""Seconds between the loss of a record and the search for it."""
ASK_AGAIN = 60.0
"""Seconds until the name server is asked for the same host again."""
DATAGRAM = 1024
"""Bytes of searches that are sent together."""


class RecordClient:
    """Follows what `values` wants, for ever; everything but `hear` happens in the loop's thread."""

    def __init__(self, values: RecordValues, own: OwnRecords | None = None) -> None:
        """`own`: the records of this server, which are not searched for."""
        self._loop = asyncio.get_running_loop()
        self._values = values
        self._own = own
        self._wanted: frozenset[Wanted] = frozenset()
        self._searched: dict[int, Wanted] = {}
        """By the number in the search."""
        self._number = 0
        self._circuits: dict[tuple[str, int], RecordCircuit] = {}
        self._hurry = asyncio.Event()
        self._hosts = Hosts(self._hurry.set)
        self._broadcaster = caproto.Broadcaster(caproto.CLIENT)
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._searching: asyncio.Task[None] | None = None
        values.listen(self._hear)

    async def close(self) -> None:
        """Leave all servers."""
        self._values.listen(lambda wanted: None)
        tasks = [task for task in (*self._tasks, self._searching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def _hear(self, wanted: frozenset[Wanted]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._want, wanted)

    def _want(self, wanted: frozenset[Wanted]) -> None:
        gone, self._wanted = self._wanted - wanted, wanted
        for circuit in self._circuits.values():
            for one in gone:
                circuit.remove(one)
        self._searched = {number: one for number, one in self._searched.items() if one in wanted}
        if self._own is not None:
            self._own.follow(wanted)
            wanted = frozenset(one for one in wanted if not self._own.has(one))
        self._search(wanted)

    def _search(self, wanted: Iterable[Wanted]) -> None:
        """Search those that are not found, or searched for, already."""
        known = {one for circuit in self._circuits.values() for one in circuit.records}
        wanted = set(wanted) - known - set(self._searched.values())
        for one in wanted:
            self._number = (self._number + 1) & 0x7FFFFFFF
            self._searched[self._number] = one
        if not wanted:
            return
        self._hurry.set()
        if self._searching is None:
            self._searching = self._loop.create_task(self._keep_searching())

    async def _keep_searching(self) -> None:
        while True:
            try:
                await self._search_on()
            except Exception as problem:
                # Whatever it is: the records are wanted for as long as the server runs.
                said = str(problem) or type(problem).__name__
                log.warning("Cannot search for records, trying again in %g s: %s", LAST_PAUSE, said)
            if self._transport is not None:
                self._transport.close()
            await asyncio.sleep(LAST_PAUSE)

    async def _search_on(self) -> None:
        """Search in the whole of one socket's life."""
        self._transport = transport = await self._open()
        pause = FIRST_PAUSE
        while not transport.is_closing():
            if not self._searched:
                self._hurry.clear()
                await self._hurry.wait()
            addresses = [(found, port) for host, port in search_addresses() if (found := self._hosts.find(host))]
            for datagram in self._datagrams():
                for address in addresses:
                    transport.sendto(datagram, address)
            self._hurry.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)
            pause = FIRST_PAUSE if self._hurry.is_set() else min(2 * pause, LAST_PAUSE)

    async def _open(self) -> asyncio.DatagramTransport:
        sock = caproto.bcast_socket()
        try:
            sock.bind(("", 0))
            sock.setblocking(False)
            transport, _ = await self._loop.create_datagram_endpoint(
                lambda: network.Datagrams(self._answered), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        return transport

    def _datagrams(self) -> Iterator[bytes]:
        version = bytes(caproto.VersionRequest(0, caproto.DEFAULT_PROTOCOL_VERSION))
        datagram = version
        for number, wanted in self._searched.items():
            search = bytes(caproto.SearchRequest(wanted.pv, number, caproto.DEFAULT_PROTOCOL_VERSION))
            if len(datagram) + len(search) > DATAGRAM and datagram != version:
                yield datagram
                datagram = version
            datagram += search
        yield datagram

    def _answered(self, data: bytes, address: tuple[str, int]) -> None:
        try:
            commands = self._broadcaster.recv(data, address)
            found = [
                (command.cid, caproto.extract_address(command))
                for command in commands
                if isinstance(command, caproto.SearchResponse)
            ]
        except Exception as problem:
            log.debug("A datagram from %s:%d is no answer to a search: %s", *address, problem)
            return
        for number, server in found:
            if (wanted := self._searched.pop(number, None)) is not None:
                self._circuit(server).add(wanted)

    def _circuit(self, server: tuple[str, int]) -> RecordCircuit:
        circuit = self._circuits.get(server)
        if circuit is None:
            circuit = self._circuits[server] = RecordCircuit(server, self._values.show, self._lose)
            task = self._loop.create_task(self._run(circuit))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return circuit

    async def _run(self, circuit: RecordCircuit) -> None:
        try:
            await circuit.run()
        except (OSError, asyncio.TimeoutError) as error:
            log.info("The connection to %s:%d is lost: %s", *circuit.server, str(error) or "no answer")
        except Exception as problem:
            log.warning("Closing the connection to %s:%d, which is no Channel Access: %s", *circuit.server, problem)
        finally:
            del self._circuits[circuit.server]
            self._lose(set(circuit.records))

    def _lose(self, records: set[Wanted]) -> None:
        for one in records:
            self._values.show(one, None)
        # Not at once: a server may answer searches and then have no such record, or take no connection.
        self._loop.call_later(PAUSE, lambda: self._search(records & self._wanted))


class OwnRecords:
    """Records of this server: their values come from the detector at once, not through the network."""

    def __init__(self, detector: Any, prefix: str, r: str, show: Callable[[Wanted, Any], None]) -> None:
        self._detector = detector
        self._names = prefix, r
        self._show = show
        self._places: dict[str, tuple[str, Index]] = {}
        self._followed: Mapping[str, list[tuple[Wanted, Index]]] = {}
        """By parameter."""
        detector.subscribe(self._hear)

    def has(self, wanted: Wanted) -> bool:
        """Whether it is a record of a parameter."""
        return self._find(wanted.pv) is not None

    def follow(self, wanted: frozenset[Wanted]) -> None:
        """Show these from now on."""
        followed: dict[str, list[tuple[Wanted, Index]]] = {}
        for one in wanted:
            if (place := self._find(one.pv)) is not None:
                followed.setdefault(place[0], []).append((one, place[1]))
        self._followed = followed
        for name in followed:
            self._show_all(name)

    def _find(self, pv: str) -> tuple[str, Index] | None:
        prefix, r = self._names
        if not pv.startswith(prefix):
            return None
        if not self._places:
            detector = self._detector
            for record in live_records(detector.parameters.values(), detector.channels, prefix, r, {}):
                for name in (record.name, *alias_names(record, prefix, r)):
                    self._places[name] = record.parameter.name, record.index
        return self._places.get(pv.removesuffix(".VAL"))

    def _hear(self, update: Update) -> None:
        if update.name in self._followed and not update.refused:
            self._show_all(update.name)

    def _show_all(self, name: str) -> None:
        parameter: Parameter = self._detector.parameters[name]
        for wanted, index in self._followed.get(name, ()):
            value = self._detector.get(name, index)
            if isinstance(value, np.ndarray):
                value = value.flat[0] if value.size else None
            self._show(wanted, None if value is None else as_written(parameter, value, wanted.as_text))


def search_addresses() -> list[tuple[str, int]]:
    """Return where records are searched for, as libca does: EPICS_CA_ADDR_LIST, and all networks of this host."""
    environment = caproto.get_environment_variables()
    addresses = os.environ.get("EPICS_CA_ADDR_LIST", "").split()
    if os.environ.get("EPICS_CA_AUTO_ADDR_LIST", "YES").upper() != "NO":
        addresses += network.broadcast_addresses(network.ANY)
    found = []
    for address in addresses:
        host, _, port = address.partition(":")
        with contextlib.suppress(ValueError):
            number = int(port) if port else int(environment["EPICS_CA_SERVER_PORT"])
            if host and 0 < number < 1 << 16:
                found.append((host, number))
    return list(dict.fromkeys(found))


class Hosts:
    """Addresses of hosts by name, found beside the loop: a name server may answer late, or never."""

    def __init__(self, on_found: Callable[[], None]) -> None:
        """`on_found` is called in the loop's thread when one is known that was not."""
        self._loop = asyncio.get_running_loop()
        self._on_found = on_found
        self._found: dict[str, str] = {}
        self._failed: set[str] = set()
        self._asking: set[str] = set()
        self._next: dict[str, float] = {}
        """When to ask again, in the loop's time."""

    def find(self, host: str) -> str | None:
        """Return the address as far as it is known, at once."""
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv4Address(host))
        now = self._loop.time()
        if host not in self._asking and now >= self._next.get(host, now):
            self._next[host] = now + ASK_AGAIN
            # In a thread of its own: the end of the server would wait for one of the loop's.
            threading.Thread(target=self._ask, args=(host,), name="host name", daemon=True).start()
            self._asking.add(host)
        return self._found.get(host)

    def _ask(self, host: str) -> None:
        address, problem = None, ""
        try:
            address = str(socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0])
        except (OSError, ValueError) as error:
            problem = str(error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._answered, host, address, problem)

    def _answered(self, host: str, address: str | None, problem: str) -> None:
        self._asking.discard(host)
        if address is None:
            # What it was before is better than nothing.
            if host not in self._failed:
                log.warning("No address of the host %s in EPICS_CA_ADDR_LIST: %s", host, problem)
            self._failed.add(host)
            return
        self._failed.discard(host)
        if self._found.get(host) != address:
            self._found[host] = address
            self._on_found()

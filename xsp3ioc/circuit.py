"""One Channel Access client's connection: its writes in order, its updates, and a reply when the work is done."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import caproto
from caproto import AccessRights, CAStatus
from caproto.asyncio import server
from caproto.server.common import DisconnectedCircuit

from xsp3ioc.access import Client
from xsp3ioc.outbox import Outbox
from xsp3ioc.stream.putlog import Caller, note, said

log = logging.getLogger(__name__)

BUNDLE = 64
"""Replies that are sent together; then other clients have their turn. A screen connects thousands of records."""
GET_PATIENCE = 0.5
"""Seconds that a get waits for the put before it."""
LONGEST_MESSAGE = 16 << 20
"""Bytes of one request; more is no Channel Access client."""


class AccessDeniedError(Exception):
    """The record cannot be written, or not by this client."""


class NeverWriting:
    """Stands for caproto's event "no write is in progress".

    caproto lets every get wait for it for a millisecond, so an open put-callback would slow all gets of its client.
    """

    def set(self) -> None:
        """Nothing to remember."""

    clear = set

    def is_set(self) -> bool:
        """No write is ever in the way."""
        return True

    async def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        return True


class Circuit(server.VirtualCircuit):
    """A client's connection.

    A write calls the channel's writer at once, before the next command is looked at, so that writes reach the core in
    the order in which they came. (caproto makes a task of each; those of one client overtake each other.) The reply
    comes when the writer's future ends, behind all updates that were posted before.
    """

    def __init__(self, circuit: caproto.VirtualCircuit, client: Any, context: Any):
        super().__init__(circuit, client, context)
        self.write_event = NeverWriting()
        self.outbox = Outbox()
        self._greeted = False
        self._begun: dict[int, Future[Any]] = {}
        """Writes that are not accepted or refused yet, by the channel's number: a get after a put has the new value."""
        # Updates go to the outbox in any case; what the client asked for decides when they are sent.
        self.events_on.set()

    @property
    def who(self) -> str:
        """user@host[address]: the first two as the client says."""
        claimed = f"{self.client_username or '?'}@{self.client_hostname or '?'}"
        # It goes into a log: a name must not look like more than a name.
        return f"{re.sub('[^!-~]', '?', claimed[:100])}[{self.circuit.address[0]}]"

    @property
    def _may_write(self) -> bool:
        address, here = self.circuit.address[0], self.client.getsockname()
        local = address.startswith("127.") or (here is not None and address == here[0])
        return self.context.access.allows(Client(self.client_username or "", address, local))

    async def run(self) -> None:
        """Start answering."""
        self.tasks.create(self.command_queue_loop())
        self._sub_task = self.tasks.create(self._send_loop())

    async def recv(self) -> None:
        """Read commands into the queue; a full queue makes the client wait."""
        received = await self.client.recv(1 << 16)
        commands, missing = self.circuit.recv(received)
        for command in commands:
            await self.command_queue.put(command)
        if missing > LONGEST_MESSAGE:
            raise caproto.RemoteProtocolError(f"a request of {missing} bytes")
        if not received:
            raise DisconnectedCircuit

    async def command_queue_loop(self) -> None:
        """Process commands until the client goes, or says what no client would say."""
        try:
            while True:
                replies = list(await self._take(await self.command_queue.get()))
                while not self.command_queue.empty() and len(replies) < BUNDLE:
                    replies += await self._take(self.command_queue.get_nowait())
                if replies:
                    await self.send(*replies)
                await asyncio.sleep(0)
        except DisconnectedCircuit:
            pass
        except Exception as problem:
            log.warning("Closing the connection of %s: %s", self.who, problem or type(problem).__name__)
        finally:
            await self.close()

    async def _take(self, command: Any) -> Sequence[Any]:
        """Answer a command. A client may search here too, if it knows the server's address (EPICS_CA_NAME_SERVERS)."""
        match command:
            case caproto.SearchRequest():
                if not self.context.serves(command.name):
                    return ()
                # No address: clients take that of the connection.
                return (caproto.SearchResponse(self.context.port, None, command.cid, caproto.DEFAULT_PROTOCOL_VERSION),)
            case caproto.VersionRequest() if self._greeted:
                return ()  # such a client begins each bundle of searches with one, whose priority means nothing
            case caproto.VersionRequest():
                self._greeted = True
        return await self._command_queue_iteration(command) or ()

    async def close(self) -> None:
        """End this connection, once."""
        await self._on_disconnect()
        await self.context.circuit_disconnected(self)

    async def _on_disconnect(self) -> None:
        sender, self._sub_task = self._sub_task, None
        await super()._on_disconnect()
        # caproto cancels the sender and waits for it: a sender that found out by itself would wait for itself.
        if sender is not None and sender is not asyncio.current_task():
            sender.cancel()

    async def _wake_new_command(self) -> None:
        pass

    async def _process_command(self, command: Any) -> list[Any]:
        match command:
            case caproto.WriteRequest() | caproto.WriteNotifyRequest():
                return self._write(command)
            case caproto.ReadNotifyRequest() | caproto.ReadRequest() if begun := self._begun.get(command.sid):
                self._read_behind(begun, command)
                return []
            case caproto.EventsOffRequest() | caproto.EventsOnRequest():
                self.outbox.pause(isinstance(command, caproto.EventsOffRequest))
                return []
            case caproto.EventCancelRequest():
                self.outbox.cancel(command.subscriptionid)
            case caproto.ClearChannelRequest():
                await self._end_subscriptions(command.sid)
            case caproto.HostNameRequest() | caproto.ClientNameRequest():
                await super()._process_command(command)
                return [self._rights(chan.cid, chan.name) for chan in self.circuit.channels_sid.values()]
            case caproto.CreateChanRequest():
                return [
                    self._rights(response.cid, command.name) if isinstance(response, caproto.AccessRightsResponse)
                    else response
                    for response in await super()._process_command(command)
                ]  # fmt: skip
        return await super()._process_command(command)

    def _rights(self, cid: int, name: str) -> Any:
        """Tell the client what it may do, so that its screens show it."""
        rights = self.context[name].check_access(self.client_hostname, self.client_username)
        return caproto.AccessRightsResponse(cid, rights if self._may_write else rights & AccessRights.READ)

    async def _end_subscriptions(self, sid: int) -> None:
        # caproto compares the subscription's channel object with the number, so that none is ever found.
        chan, entry = self.circuit.channels_sid[sid], None
        for _, sub in await self._cull_subscriptions(entry, lambda sub: sub.channel is chan):
            self.outbox.cancel(sub.subscriptionid)
            self.circuit.event_add_commands.pop(sub.subscriptionid, None)

    def _write(self, command: Any) -> list[Any]:
        chan = self.circuit.channels_sid[command.sid]
        caller = Caller(self.who, chan.name)
        future: Future[Any]
        try:
            channel = self.context[chan.name]
            if AccessRights.WRITE not in channel.check_access(self.client_hostname, self.client_username):
                raise AccessDeniedError(f"{chan.name} is read-only")
            if not self._may_write:
                raise AccessDeniedError(f"only {self.context.access.text} may write")
            future = channel.writer(command.data, caller)
        except Exception as problem:
            # What goes further is logged by who does it.
            note(caller, chan.name, said(command.data), refused=problem)
            future = Future()
            future.set_exception(problem)
        self._begun[command.sid] = begun = getattr(future, "begun", future)
        self._when_shown(begun, partial(self._forget, command.sid))
        self._when_shown(future, partial(self._answer, chan, command))
        return []

    def _when_shown(self, future: Future[Any], act: Callable[[Future[Any]], None]) -> None:
        """Have `act(future)` called when it has ended, behind all updates so far."""
        future.add_done_callback(partial(self.context.after_updates, act))

    def _forget(self, sid: int, begun: Future[Any]) -> None:
        if self._begun.get(sid) is begun:
            del self._begun[sid]

    def _read_behind(self, begun: Future[Any], command: Any) -> None:
        """Read when the write before it is shown; a write that takes long is not waited for."""
        reading = False

        def read(_: Any = None) -> None:
            nonlocal reading
            if not reading:
                reading = True
                self.tasks.create(self._read(command))

        self._when_shown(begun, read)
        asyncio.get_running_loop().call_later(GET_PATIENCE, read)

    async def _read(self, command: Any) -> None:
        if self.connected and command.sid in self.circuit.channels_sid:
            await self.send(*await super()._process_command(command))

    def _answer(self, chan: caproto.ServerChannel, command: Any, future: Future[Any]) -> None:
        if not self.connected or chan.sid not in self.circuit.channels_sid:
            return
        problem = RuntimeError("The server gave this up") if future.cancelled() else future.exception()
        status = CAStatus.ECA_NORMAL
        if problem is not None:
            status = CAStatus.ECA_NOWTACCESS if isinstance(problem, AccessDeniedError) else CAStatus.ECA_PUTFAIL
        if isinstance(command, caproto.WriteNotifyRequest):
            # Never an error response: libca would report success, and others wait until they time out. The type of
            # the request may be unknown to us; clients look at the status only.
            self._reply(chan.write(command.ioid, chan.native_data_type, command.data_count, status))
        elif problem is not None:
            self._reply(caproto.ErrorResponse(command, chan.cid, status, str(problem) or type(problem).__name__))

    def _reply(self, response: Any) -> None:
        self.outbox.reply(b"".join(self.circuit.send(response)))

    async def _send_loop(self) -> None:
        try:
            while True:
                await self._send_buffers(await self.outbox.take())
        except (OSError, caproto.CaprotoNetworkError):
            await self.close()

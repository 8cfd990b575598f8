"""The Channel Access face: the detector's parameters as records, its updates as monitors."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from xsp3ioc.access import WriteAccess
from xsp3ioc.autosave_plain import PlainSettings
from xsp3ioc.channel_table import ChannelTable, Core
from xsp3ioc.records import pv_table
from xsp3ioc.server import Address, Server
from xsp3ioc.stream.parameter import Update

__all__ = ["Address", "Core", "Face", "pv_table", "serve"]

log = logging.getLogger(__name__)

_LAST_WORDS = 1.0
"""Seconds that clients have to read the last updates."""


class Face:
    """The records of one detector, and the one way on which its updates and ended writes come to them, in order."""

    def __init__(self, detector: Core, prefix: str, r: str, legacy: bool):
        self._loop = asyncio.get_running_loop()
        self._items: deque[Update | Callable[[], None]] = deque()
        self._awake = asyncio.Event()
        self._woken = False
        # First listen, then look: an update in between is shown twice rather than never.
        detector.subscribe(self._hand_over)
        self.table = ChannelTable(detector, self._hand_over, prefix, r, legacy)

    def after_updates(self, reply: Callable[[Any], None], future: Future[Any]) -> None:
        """Have `reply(future)` called behind all updates so far; from any thread."""
        self._hand_over(partial(reply, future))

    def _hand_over(self, item: Update | Callable[[], None]) -> None:
        self._items.append(item)
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._awake.set)
        except RuntimeError:
            # The loop is closed.
            self.close()

    def close(self) -> None:
        """Hear no more: nobody would take what is handed over."""
        self._items = deque(maxlen=0)

    async def post_updates(self) -> None:
        """Show what is handed over, one after the other, for ever."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            # From here on the next item wakes us again; what came before is in the queue already.
            self._woken = False
            await self._post_waiting()

    async def _post_waiting(self) -> None:
        while self._items:
            item = self._items.popleft()
            try:
                if isinstance(item, Update):
                    await self.table.post(item)
                else:
                    item()
            except Exception:
                log.exception("Cannot show %r", item)

    async def say_last_words(self, server: Server) -> None:
        """Post what is still waiting, and give the clients a moment to read it."""
        await self._post_waiting()
        deadline = self._loop.time() + _LAST_WORDS
        while any(circuit.outbox for circuit in server.circuits) and self._loop.time() < deadline:
            await asyncio.sleep(0.01)


async def serve(
    detector: Core,
    *,
    prefix: str,
    r: str = "det1:",
    listen: str = "127.0.0.1",
    port: int | None = None,
    access: WriteAccess | None = None,
    keep: Callable[[PlainSettings], None] = lambda settings: None,
    legacy: bool = False,
    started: Callable[[Address], None],
    stop: asyncio.Event,
) -> None:
    """Serve the detector until `stop` is set.

    `port` is where searches are heard, and the TCP port unless another server has it; default: EPICS_CAS_SERVER_PORT,
    EPICS_CA_SERVER_PORT or 5064. Without `access` everyone may write. `keep` is given what is
    worth saving of the records that the detector knows nothing of. `legacy`: records answer to the names of the
    vendor's old server too. OSError if `listen` is no address of this host.
    """
    face = Face(detector, prefix, r, legacy)
    keep(face.table.plain_settings())
    server = Server(face.table, face.after_updates, listen, port, access)
    poster = asyncio.create_task(face.post_updates())
    try:
        started(await server.start())
        await stop.wait()
        await face.say_last_words(server)
    finally:
        poster.cancel()
        face.close()
        await server.close()

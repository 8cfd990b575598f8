"""The Tango face: PyTango's server, in a thread beside the others of this process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence

import tango
import tango.server

from xsp3ioc.stream.commands import Put
from xsp3ioc.tango.device import STATES, Core, Xspress3DS
from xsp3ioc.tango.events import WAITING, Events
from xsp3ioc.tango.registration import CLASS, Place

log = logging.getLogger(__name__)

START = 30.0
"""Seconds until the server is ready."""
END = 2.0
"""Seconds until its threads have ended."""
TURN = 0.1
"""Seconds between two looks of Tango's own thread whether a client's Kill has come."""
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""PyTango takes them when its server starts."""


class TangoFace:
    """One device; a process can have one only, and only once."""

    def __init__(
        self,
        core: Core,
        place: Place,
        listen: str,
        port: int,
        ended: Callable[[], object],
        renew: Callable[[], list[Put]] = list,
        options: Sequence[str] = (),
    ) -> None:
        """Prepare to serve; `options` are Tango's own.

        `ended` is called in a thread of Tango when a client has ended the server (Kill), `renew` at every Init but the
        first: it has the core take over properties that have changed and returns what it has put; ValueError if it
        cannot.
        """
        self._place, self._options = place, list(options)
        self._events = Events(core, self._device, lambda: STATES[core.state])
        Xspress3DS.core, Xspress3DS.events, Xspress3DS.renew = core, self._events, staticmethod(renew)
        # With a host's name instead of its address, the sockets of the events listen on all addresses.
        self._listen = socket.gethostbyname(listen)
        self.port = port
        self._ended = ended
        self._error: BaseException | None = None
        self._ready, self._over = threading.Event(), threading.Event()
        # The process can end even if Tango does not.
        self._thread = threading.Thread(target=self._serve, name="tango", daemon=True)

    def device_name(self, host: str) -> str:
        """Return the name that clients use; without a database, those on `host`'s network."""
        if self._place.database:
            return f"tango://{self._place.database}/{self._place.device}"
        return f"tango://{host}:{self.port}/{self._place.device}#dbase=no"

    def start(self) -> None:
        """Serve; call it in the main thread. OSError: the address or port cannot be used, or Tango cannot start."""
        self.port = self._free_port()
        handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
        self._thread.start()
        try:
            if not self._ready.wait(START):
                raise OSError(f"PyTango's server is not ready after {START:.0f} s")
            if self._error is not None:
                raise OSError(f"PyTango's server cannot start: {self._error}") from self._error
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
        self._events.start()

    def close(self) -> None:
        """Push what is still waiting, then end the server."""
        self._events.close(END)
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(END)
        if self._thread.is_alive():
            log.warning("PyTango's server has not ended in %.0f s, left behind", END)

    def _device(self) -> Xspress3DS:
        return tango.Util.instance().get_device_by_name(self._place.device)

    def _free_port(self) -> int:
        """Find a port if any will do; or say that it is in use, which omniORB would only write to the terminal."""
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((self._listen, self.port))
            return trial.getsockname()[1]

    def _serve(self) -> None:
        os.environ.setdefault("TANGO_DS_EVENT_BUFFER_HWM", str(WAITING))
        arguments = [CLASS, self._place.instance, *self._options]
        if self._place.database:
            os.environ["TANGO_HOST"] = self._place.database
        else:
            arguments += ["-nodb", "-dlist", self._place.device]
        # On all addresses: the clients are told those that there are, not this word for them.
        address = "" if self._listen == "0.0.0.0" else self._listen
        arguments += ["-ORBendPoint", f"giop:tcp:{address}:{self.port}"]
        try:
            # run() comes back when its event loop says so; after unregister_server() alone it would not.
            tango.server.run(
                (Xspress3DS,),
                arguments,
                msg_stream=None,
                event_loop=lambda: self._over.wait(TURN),
                post_init_callback=self._ready.set,
                raises=True,
            )
        except Exception as error:
            # PyTango 10.3 always raises here when it has ended well: it shuts the same ORB down twice.
            if not self._ready.is_set():
                self._error = error
        if self._ready.is_set() and not self._over.is_set():
            self._over.set()
            self._events.stop()
            self._ended()
        self._ready.set()

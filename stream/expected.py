"""Subscribers without whom no series begins: waited for when it starts, and named if they do not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.life import StateError, StoppedError

WRITER = "writer"
"""The server's own; whoever else calls itself so is not meant."""
LOOK = 0.02
"""Seconds between two looks at the reasons to stop waiting, at most."""
PROBE = 1.0
"""Seconds for the socket to find out who is gone."""


class Expected:
    """The names that a series waits for, as subscribers call themselves; `writer` is the server's own."""

    def __init__(
        self, names: Collection[str], timeout: float, start_writer: Callable[[], None] = lambda: None
    ) -> None:
        """`timeout` in s; `start_writer` starts the server's own if it does not run, and does not wait for it."""
        self.names = tuple(dict.fromkeys(names))
        self._timeout = timeout
        self._start_writer = start_writer

    def missing(self, data: DataSocket) -> list[str]:
        """Return the names of those who have not joined."""
        everybody = list(data.subscribers.known.values())
        here = {known.name for known in everybody if known.writer or known.name != WRITER}
        return [name for name in self.names if name not in here]

    def wait(self, data: DataSocket, what: str, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        """Wait until all are there; StateError if `what` is not possible without them, StoppedError if `stopped`.

        `say` gets a line while it waits.
        """
        if not self.names:
            return
        if WRITER in self.names:
            self._start_writer()  # nobody else can, if it was killed or left
        # Who was killed since the last series is still on the list: sending to it tells.
        data.probe(set(self.names))
        began, said = time.monotonic(), False
        while True:
            waited, known = time.monotonic() - began, not data.probing  # asked first: who is gone is known before
            missing = self.missing(data)
            if not missing and (known or waited > PROBE):
                return
            if stopped():
                raise StoppedError("Stopped before it began")
            if missing and waited > self._timeout:
                raise StateError(
                    f"{what} without subscriber {', '.join(missing)}: waited {self._timeout:g} s; "
                    "start what is missing, or take it out of --expect"
                )
            if missing and not said:
                say(f"Waiting for subscriber {', '.join(missing)}")
                said = True
            with data.subscribers.changed:
                data.subscribers.changed.wait(LOOK)

"""Who looks after a server for a live view, whether it is there or not."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from xsp3ioc.receivers.monitor import Monitor, NoAnswerError
from xsp3ioc.receivers.view_data import Snapshot, UnreadableError, fetch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """What is known now."""

    endpoint: str
    snapshot: Snapshot | None = None
    """The last one that there was."""
    trouble: str = ""
    """Why there is none since."""
    seconds: float = 0.0
    """For how long."""


class Watcher:
    """Asks a server again and again, in a thread of its own, whether it is there or not."""

    def __init__(self, endpoint: str, interval: float) -> None:
        """`interval`: seconds between snapshots. ValueError if `endpoint` is no address."""
        self._monitor = Monitor(endpoint)
        self._interval = interval
        self._stopped = threading.Event()
        self.view = View(endpoint)
        """What is known now: another object whenever there is something new."""
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        seen = time.monotonic()
        while not self._stopped.is_set():
            view = self.view
            try:
                self.view = View(view.endpoint, fetch(self._monitor))
                seen = time.monotonic()
            except Exception as error:
                if not isinstance(error, NoAnswerError | UnreadableError) and str(error) != view.trouble:
                    log.exception("The watcher of %s stumbled and goes on", view.endpoint)
                self.view = View(view.endpoint, view.snapshot, str(error), time.monotonic() - seen)
            self._stopped.wait(self._interval)
        self._monitor.close()

    def stop(self) -> None:
        """Stop asking; a question that waits for an answer is left behind."""
        self._stopped.set()
        self._thread.join(0.1)

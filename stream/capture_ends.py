"""When receivers hear of the end of a capture: not before the end of a series whose last frames are in its file."""

from __future__ import annotations

import threading

from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.messages import CaptureEnd
from xsp3ioc.stream.subscriber import Audience


class CaptureEnds:
    """Ends of captures on their way to all but the server's own writer."""

    def __init__(self, data: DataSocket) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._withheld: list[CaptureEnd] | None = None
        """None: they are told at once."""

    def withhold(self) -> None:
        """Keep them until `release`: the end of the series names missing frames, which have places in the files."""
        with self._lock:
            self._withheld = []

    def release(self) -> None:
        """Tell what was withheld, and withhold no more."""
        with self._lock:
            ends, self._withheld = self._withheld or [], None
            for end in ends:
                self._data.publish(end, audience=Audience.others)

    def tell(self, end: CaptureEnd) -> None:
        """Tell it now, or when the series has ended."""
        with self._lock:
            if self._withheld is not None:
                self._withheld.append(end)
            else:
                self._data.publish(end, audience=Audience.others)

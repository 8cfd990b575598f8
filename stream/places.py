"""Where a detector's sockets are served, and how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from xsp3ioc.stream.curve import Curve
from xsp3ioc.stream.messages import NONE


@dataclass(frozen=True)
class Places:
    """Where the sockets are served."""

    listen: str = "127.0.0.1"
    data_port: int = 9999
    monitor_port: int = 9998
    compression: str = NONE
    """Of the spectra on the data socket."""
    expect: Collection[str] = ()
    """Names of subscribers without whom no series begins."""
    expect_timeout: float = 10.0
    """Seconds in which they have to come."""
    legacy_port: int | None = None
    """Of the publisher compatible with xspress3-streamer; None: there is none."""
    legacy_parts: bool = False
    """Whether it sends a frame as one message of three parts, not as three messages."""
    stream1_port: int | None = None
    """Of the PUSH of STINS ("stream1"); None: there is none."""
    curve: Curve | None = None
    """The data and monitor sockets are open to known clients only."""

    def endpoint(self, port: int) -> str:
        """Return the address of a port; 0: any free one."""
        return f"tcp://{self.listen}:{port or '*'}"

"""The streams of other protocols beside the data socket: which there are, by the ports they were given."""

from __future__ import annotations

from collections.abc import Callable

from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.legacy_publisher import LegacyPublisher
from xsp3ioc.stream.places import Places
from xsp3ioc.stream.side_socket import SideSocket
from xsp3ioc.stream.stins_push import StinsPush


def open_beside(
    data: DataSocket, places: Places, frame_bytes: int, on_drop: Callable[[str], None]
) -> dict[str, SideSocket]:
    """Serve the streams that have a port, by name (`legacy`, `stream1`); OSError: a port is in use.

    They get what is published on `data`, once they are started. `frame_bytes` are those of a frame's spectra.
    """
    streams: dict[str, SideSocket] = {}
    try:
        if places.legacy_port is not None:
            endpoint = places.endpoint(places.legacy_port)
            streams["legacy"] = LegacyPublisher(endpoint, frame_bytes, places.legacy_parts, on_drop)
        if places.stream1_port is not None:
            streams["stream1"] = StinsPush(places.endpoint(places.stream1_port), frame_bytes, on_drop)
    except OSError:
        for stream in streams.values():
            stream.close()
        raise
    data.beside += [stream.take for stream in streams.values()]
    return streams

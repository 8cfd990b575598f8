"""Playback of recorded detector data, and the scope: how the electronics are tested."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.calls import c_array, c_text
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.errors import Xspress3Error
from xsp3ioc.sdk.identity import Identity

_MOST_SOURCES = 16


class Playback(Identity):
    """Playback and scope; run them with the run flags `playback` and `scope`."""

    def load_playback(
        self,
        file: str | os.PathLike[str],
        sources: Sequence[int] = (),
        card: int = 0,
        *,
        streams: int = 1,
        digital_stream0: bool = False,
        smooth_join: bool = False,
        higher_channels: bool = False,
        retry: bool = True,
        xspress4_digital: bool = False,
        global_reset: bool = False,
    ) -> int:
        """Load a playback file of `streams` streams into a card's memory; returns the library's answer, not negative.

        `sources` are up to 16 streams of the file, one per channel; those that are not named are stream 0. Set the
        channels' `DataSource` to play it: playback on Mini and Xspress4, external0 or external1 on Xspress3.
        """
        if len(sources) > _MOST_SOURCES:
            raise ValueError(f"{len(sources)} sources are more than {_MOST_SOURCES}")
        table = ffi.new(f"int[{_MOST_SOURCES}]", list(sources))
        options = (digital_stream0, smooth_join, higher_channels, not retry, xspress4_digital, global_reset)
        return self._call(
            "xsp3_playback_load_x3", card, c_text(file), table, streams, *(int(option) for option in options)
        )  # fmt: skip

    def write_playback(self, data: NDArray[np.uint32], card: int = 0, *, retry: bool = True) -> int:
        """Write raw playback data, uint32 (words,), into a card's memory; returns the library's answer."""
        buffer = c_array(np.ascontiguousarray(data, np.uint32), writable=False)
        return self._call("xsp3_write_playback_data", card, buffer, data.size * 4, int(not retry))

    def setup_scope(self) -> None:
        """Take the scope's settings over from its shared-memory module."""
        self._call("xsp3_scope_settings_from_mod")

    def start_scope(
        self, count_enable: bool = True, playback_time: int = 0, scope_time: int = 0, card: int = -1
    ) -> None:
        """Start the system for the scope."""
        self._call("xsp3_system_start_count_enb", card, int(count_enable), playback_time, scope_time)

    def wait_scope(self, card: int = -1) -> None:
        """Wait until the scope has its data."""
        self._call("xsp3_scope_wait", card)

    def read_scope(self, card: int = -1) -> int:
        """Read the scope's data into its shared-memory module; returns the frames, raises if there are none."""
        frames = self._call("xsp3_read_scope_data", card)
        if frames == 0:
            raise Xspress3Error("xsp3_read_scope_data", 0, "the scope has no data: start it and wait for it first")
        return frames

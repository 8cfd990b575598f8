"""`Xsp3Sys`, the library's own table of its handles, which some programs look into."""

import threading
from typing import Any, NamedTuple

from xsp3ioc.sdk.emulator.leaves import leaf_path
from xsp3ioc.sdk.emulator.library import EmulatedLibrary
from xsp3ioc.sdk.emulator.memory import HistogramMemory
from xsp3ioc.sdk.emulator.system import System

_SINGLE, _COMPOSITE = 0, 1


class _Place(NamedTuple):
    """Where a channel is in the table."""

    leaf: int
    """The card's handle."""
    on_card: int


class PathTable:
    """Fills the entries of the open handle and of its cards'.

    Programs read the table at any time, from any thread: what has not changed is never written otherwise in between.
    """

    def __init__(self, ffi: Any, entries: Any) -> None:
        self._ffi = ffi
        self._entries = entries
        self._lock = threading.Lock()
        self._shown: set[int] = set()
        self._last: tuple[System | None, HistogramMemory | None, int] = None, None, 0

    def show(self, library: EmulatedLibrary) -> None:
        """Write what is connected, and where the spectra of each channel are."""
        with self._lock:
            self._show_changes(library)

    def _show_changes(self, library: EmulatedLibrary) -> None:
        system = library.open_system((0,))
        now = (None, None, 0) if system is None else (system, library.memory(system), int(system.run_flags))
        if now == self._last:
            return  # some programs ask for the leaf again and again
        shown = set() if system is None else self._show(library, system)
        for path in self._shown - shown:
            self._close(path)
        self._shown = shown
        self._last = now  # only now: another thread must not return before all is there

    def _show(self, library: EmulatedLibrary, system: System) -> set[int]:
        leaves = [leaf_path(0, system.cards, card) for card in range(system.cards)]
        for card, leaf in enumerate(leaves):
            self._describe(self._entries[leaf], system, _SINGLE, 1, len(system.channels_of(card)), [leaf])
        if system.cards > 1:
            self._describe(self._entries[0], system, _COMPOSITE, system.cards, system.channels, leaves)
        memory = library.memory(system)
        channels = {place: channel for channel, place in enumerate(_places(system))}
        for path in {0, *leaves}:
            for index, histogram in enumerate(self._entries[path].histogram):
                channel = channels.get(_Place(path, index))
                address = 0 if memory is None or channel is None else memory.address(channel)
                histogram.buffer = self._ffi.cast("uint32_t *", address)
        for path in {0, *leaves}:  # valid once there is all the rest
            self._entries[path].valid = 1
        self._move(library)
        return {0, *leaves}

    def _describe(self, entry: Any, system: System, kind: int, cards: int, channels: int, leaves: list[int]) -> None:
        entry.type = kind
        entry.num_cards = cards
        entry.num_chan = channels
        entry.sub_path[0 : len(leaves)] = leaves
        entry.run_flags = int(system.run_flags)
        entry.features.generation = int(system.settings.family.generation)
        entry.features.reg_clock_period = system.settings.family.clock_period

    def _close(self, path: int) -> None:
        entry = self._entries[path]
        entry.valid = 0
        for histogram in entry.histogram:
            histogram.buffer = self._ffi.NULL

    def move(self, library: EmulatedLibrary) -> None:
        """Write the number of the newest frame and of the frames that never came, per channel; only with a memory."""
        with self._lock:
            self._move(library)

    def _move(self, library: EmulatedLibrary) -> None:
        system = library.open_system((0,))
        if system is None or library.memory(system) is None:
            return
        with system.lock:
            run, now = system.settled(), system.now
            newest = 0 if run is None else max(run.ring.begun - 1, 0)
            dropped = [0 if run is None else run.dropped(channel, now) for channel in range(system.channels)]
        for place, number in zip(_places(system), dropped, strict=True):
            histogram = self._entries[place.leaf].histogram[place.on_card]
            histogram.cur_tf_ext = newest
            histogram.dropped_frames = number


def _places(system: System) -> list[_Place]:
    """Say where each channel is, as xsp3_resolve_path does."""
    return [
        _Place(leaf_path(0, system.cards, card), on_card)
        for card in range(system.cards)
        for on_card in range(len(system.channels_of(card)))
    ]

"""The memory of spectra that some programs copy from directly, instead of calling a read function.

The emulator makes a frame's content when it is read. For those programs it keeps a memory like the library's own: per
channel, frame t at t modulo the frames that fit. Every complete frame is copied there, so this is switched on only by
the functions that such a program has to call first.

A program may copy at any time, also while another thread of its own configures anew. So a memory is never unmapped:
what no system needs any more is given back to the machine, page by page, and the addresses serve the next system.
"""

import mmap
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import BINS
from xsp3ioc.sdk.emulator.arguments import check_part
from xsp3ioc.sdk.emulator.calls import ERROR, OK, Refusal, check_one_channel, emulated
from xsp3ioc.sdk.emulator.connect import Configuration, ConnectFunctions
from xsp3ioc.sdk.emulator.layout import ChannelFormat
from xsp3ioc.sdk.emulator.read import ReadFunctions
from xsp3ioc.sdk.emulator.run import Run
from xsp3ioc.sdk.emulator.run_control import RunFunctions
from xsp3ioc.sdk.emulator.system import System

_OUT_OF_MEMORY = -8
_BLOCK = 16  # frames copied at once: what is copied out of is still in the processor's cache
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)

Spectra = Callable[[System, tuple[int, int, int, int], tuple[int, int, int, int]], NDArray[np.uint32]]
"""Reads (frames, channels, rows, bins) from (frame, channel, row, bin) on: `ReadFunctions.spectra`."""


class HistogramMemory:
    """The spectra of one system's channels; pages are taken from the machine when a frame is first put there."""

    def __init__(self, channels: int, frames: int) -> None:
        self.size = channels, frames
        self.free = False
        """No system has it."""
        self.caught_up = False
        """What was complete when the system got it has been copied."""
        self._maps = [mmap.mmap(-1, 4 * BINS * frames, flags=_FLAGS) for _ in range(channels)]
        self._words = [np.frombuffer(memory, np.uint32) for memory in self._maps]
        self._lock = threading.Lock()
        self._system: ref[System] | None = None
        self._followed: tuple[Run | None, int] = None, 0
        self._next = 0

    def address(self, channel: int, word: int = 0) -> int:
        """Where a channel's 32-bit word number `word` is."""
        return int(self._words[channel].ctypes.data) + 4 * word

    def serve(self, system: System) -> None:
        """Follow this system until it is gone, or the memory is released."""
        self.free = self.caught_up = False
        self._system = ref(system, self._empty)

    def release(self) -> None:
        """Zero everything and let another system have it."""
        with self._lock:
            self._system = None
            self._empty()

    def _empty(self, _gone: object = None) -> None:
        # Without the lock: this may be called by the garbage collection of a thread that has it.
        for memory in self._maps:
            memory.madvise(mmap.MADV_DONTNEED)
        self._followed, self._next = (None, 0), 0
        self.free = True

    def follow(self, system: System, spectra: Spectra) -> None:
        """Copy the frames of the system's run that have been completed since the last call."""
        end: int | None = None
        while True:
            with self._lock:  # free between blocks: to catch up may take long
                if self._system is None or self._system() is not system:
                    return
                complete = self._look(system)
                end = complete if end is None else min(end, complete)
                frame = max(self._next, complete - system.ring)
                if frame >= end:
                    self.caught_up = True
                    return
                count = min(end - frame, system.ring - frame % system.ring, _BLOCK)
                self._copy(system, frame, count, spectra)
                self._next = frame + count

    def _look(self, system: System) -> int:
        """Return the number of complete frames; where they are counted anew, they are all to be copied."""
        with system.lock:
            run = system.settled()
            complete = 0 if run is None else run.complete(system.now)
            followed = run, 0 if run is None else _restarted(run)
        if followed != self._followed:
            self._followed, self._next = followed, 0 if run is None else run.first
        return complete

    def _copy(self, system: System, frame: int, count: int, spectra: Spectra) -> None:
        layouts, slot = system.layouts, frame % system.ring
        if layouts.plain:
            block = spectra(system, (frame, 0, 0, 0), (count, system.channels, 1, system.bins))
            for channel, form in enumerate(layouts.formats):
                self._slots(form, channel, slot, count)[:] = block[:, channel]
            return
        for channel, form in enumerate(layouts.formats):
            block = spectra(system, (frame, channel, 0, 0), (count, 1, form.rows, form.bins))
            self._slots(form, channel, slot, count)[:] = block[:, 0]

    def clear(self, system: System, slot: int, count: int, channel: int, channels: int) -> None:
        """Zero `count` slots of some channels."""
        with self._lock:
            for number in range(channel, channel + channels):
                form = system.layouts.formats[number]
                size = 4 * form.bins * form.rows
                if size % mmap.PAGESIZE == 0 and count:
                    # Fresh pages read as zero, and those never used stay unused.
                    self._maps[number].madvise(mmap.MADV_DONTNEED, slot * size, count * size)
                else:
                    self._slots(form, number, slot, count)[:] = 0

    def _slots(self, form: ChannelFormat, channel: int, slot: int, count: int) -> NDArray[np.uint32]:
        size = form.bins * form.rows
        return self._words[channel][slot * size : (slot + count) * size].reshape(count, form.rows, form.bins)


def _restarted(run: Run) -> int:
    """Return what changes when frame zero makes a run count its frames anew."""
    return int(run.indexes(np.array([run.first]))[0])


_memories: list[HistogramMemory] = []
"""All that there are, in use or free."""
_giving = threading.Lock()


def _memory_for(system: System) -> HistogramMemory:
    """Return a memory that is free, of all that were ever made, or a new one."""
    size = system.channels, system.frames
    with _giving:
        memory = next((one for one in _memories if one.free and one.size == size), None)
        if memory is None:
            try:
                memory = HistogramMemory(*size)
            except OSError as error:
                raise Refusal(_OUT_OF_MEMORY, f"no memory for the spectra: {error.strerror}") from error
            _memories.append(memory)
        memory.serve(system)
    return memory


class MemoryFunctions(ConnectFunctions, RunFunctions, ReadFunctions):
    """Direct access to the spectra, and the functions of other groups that have a part in it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._memories: WeakKeyDictionary[System, HistogramMemory] = WeakKeyDictionary()

    def memory(self, system: System) -> HistogramMemory | None:
        """Return the memory of a system if it has been switched on."""
        return self._memories.get(system) if self._memories else None

    def switch_memory_on(self, path: int) -> HistogramMemory | None:
        """Return the memory of the system behind a handle; None where the spectra are in the cards."""
        system = self.part(path).system
        if system.settings.family.compulsory_acknowledge:
            return None
        with system.lock:
            memory = self._memories.get(system)
            if memory is None:
                memory = self._memories[system] = _memory_for(system)
        if not memory.caught_up:
            memory.follow(system, self.spectra)
        return memory

    def _connect(self, wanted: Configuration) -> int:
        before = self._systems.get(0)
        path = super()._connect(wanted)
        self._left = None
        memory = None if before is None else self._memories.pop(before, None)
        if memory is not None:  # a program that copies goes on with the pointers that it has
            memory.release()
            self.switch_memory_on(path)
        return path

    def _progress(self, path: int) -> int:
        complete = super()._progress(path)
        system = self.part(path).system
        memory = self.memory(system)
        if memory is not None:
            memory.follow(system, self.spectra)
        return complete

    def xsp3_config(self, *arguments: Any) -> int:
        """Connect as the other group does."""
        path = super().xsp3_config(*arguments)
        return path if path < 0 or not self.settings.memory else self._with_memory(path, path)

    def xsp3_config_init(self, *arguments: Any) -> int:
        """Connect as the other group does, and keep the spectra in memory from then on."""
        path = super().xsp3_config_init(*arguments)
        return path if path < 0 else self._with_memory(path, path)

    def xsp3_resolve_path(self, path: int, *arguments: Any) -> int:
        """Resolve as the other group does, and keep the spectra in memory from then on."""
        status = super().xsp3_resolve_path(path, *arguments)
        return status if status < 0 else self._with_memory(path, status)

    def _with_memory(self, path: int, answer: int) -> int:
        try:
            self.switch_memory_on(path)
        except Refusal as refusal:
            return self.refuse(refusal.status, str(refusal))
        return answer

    def xsp3_histogram_clear(self, path: int, first_channel: int, channels: int, first_frame: int, frames: int) -> int:
        """Zero spectra and scalers, in the memory too."""
        status = super().xsp3_histogram_clear(path, first_channel, channels, first_frame, frames)
        if status == OK:
            part = self.part(path)
            memory = self.memory(part.system)
            if memory is not None:
                memory.clear(part.system, first_frame, frames, part.channels[first_channel], channels)
        return status

    @emulated
    def xsp3_histogram_get_data_ptr(self, path: int, bin_: int, row: int, channel: int, frame: int) -> Any:
        """Return where a bin is; complete frames are there from the next call of check_progress on at the latest."""
        system = self.system(path)
        form = system.layouts.formats[check_one_channel(system, channel)]
        check_part("eng", bin_, 1, form.bins)
        check_part("aux", row, 1, form.rows)
        memory = self.switch_memory_on(path)
        if memory is None:
            raise Refusal(ERROR, f"the spectra of {system.settings.product} are in the cards, not in memory")
        memory.follow(system, self.spectra)
        words = (frame % system.ring * form.rows + row) * form.bins + bin_
        return ffi.cast("uint32_t *", memory.address(channel, words))

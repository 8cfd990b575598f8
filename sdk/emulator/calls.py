"""How an emulated function fails: refusals become a status and a message, as the library's own do."""

import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from xsp3ioc.sdk.cdef import Prototype, ffi
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.system import System

OK = 0
ERROR = -1
INVALID_PATH = -2
ILLEGAL_CARD = -3
ILLEGAL_CHANNEL = -4
RANGE_CHECK = -6
DEVICE_NOT_FOUND = -9
CANNOT_OPEN_FILE = -10
FILE_READ_FAILED = -11
FILE_WRITE_FAILED = -12

_MESSAGE_BYTES = 1024

F = TypeVar("F", bound=Callable[..., Any])


class Refusal(Exception):  # noqa: N818
    """An emulated function answers with this status and leaves this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EmulatedCalls:
    """The settings, the open systems, the last error message and the faults of an emulated library."""

    def __init__(
        self,
        settings: EmulatorSettings,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._sleep = sleep
        self._systems: dict[int, System] = {}
        self._message = ffi.new(f"char[{_MESSAGE_BYTES}]")
        self._faulty = frozenset(settings.fail) | frozenset(settings.hang)
        self._calls: Counter[str] = Counter()

    def refuse(self, status: int, message: str) -> int:
        """Leave a message for xsp3_get_error_message and give the status back."""
        ffi.buffer(self._message)[:] = message.encode()[: _MESSAGE_BYTES - 1].ljust(_MESSAGE_BYTES, b"\0")
        return status

    def meet_fault(self, name: str) -> None:
        """Sleep or refuse if the settings ask for it on this call of the function."""
        if name not in self._faulty:
            return
        self._calls[name] += 1
        call, seconds = self.settings.hang.get(name, (0, 0.0))
        if self._calls[name] == call:
            self._sleep(seconds)
        if self._calls[name] == self.settings.fail.get(name):
            raise Refusal(ERROR, f"{name}: failure asked for by the emulator's settings")

    def system(self, path: int) -> System:
        """Return the system behind a handle."""
        found = self._systems.get(path)
        if found is None:
            raise Refusal(INVALID_PATH, f"path {path} is not open")
        return found


def emulated(function: F) -> F:
    """Make a method one of the library's functions: faults first, refusals turned into a status."""
    name = function.__name__

    @wraps(function)
    def call(self: EmulatedCalls, *arguments: Any) -> Any:
        try:
            self.meet_fault(name)
            return function(self, *arguments)
        except Refusal as refusal:
            return self.refuse(refusal.status, str(refusal))

    return cast(F, call)


def not_emulated(prototype: Prototype) -> Callable[..., Any]:
    """Make a function that takes what the declaration says and always fails."""
    result = ffi.typeof(prototype.pointer_type).result

    def call(self: EmulatedCalls, *_arguments: Any) -> Any:
        self.refuse(ERROR, f"{prototype.name} is not emulated")
        return ffi.NULL if result.kind == "pointer" else ERROR

    call.__name__ = call.__qualname__ = prototype.name
    return call


def check_card(system: System, card: int) -> range:
    """Return the cards that a card argument means, all for a negative one."""
    if card >= system.cards:
        raise Refusal(ILLEGAL_CARD, f"card {card} is outside 0..{system.cards - 1}")
    return range(system.cards) if card < 0 else range(card, card + 1)


def check_channel(system: System, channel: int) -> range:
    """Return the channels that a channel argument means, all for a negative one."""
    if channel >= system.channels:
        raise Refusal(ILLEGAL_CHANNEL, f"channel {channel} is outside 0..{system.channels - 1}")
    return range(system.channels) if channel < 0 else range(channel, channel + 1)


def check_one_channel(system: System, channel: int) -> int:
    """Check and return a channel argument that must name one channel."""
    if not 0 <= channel < system.channels:
        raise Refusal(ILLEGAL_CHANNEL, f"channel {channel} is outside 0..{system.channels - 1}")
    return channel


def check_range(name: str, value: int, low: int, high: int) -> int:
    """Check an argument against inclusive limits and return it."""
    if not low <= value <= high:
        raise Refusal(RANGE_CHECK, f"{name} = {value} is outside {low}..{high}")
    return value


def check_channels(system: System, channel: int, channels: int) -> None:
    """Check a range of channels."""
    check_one_channel(system, channel)
    check_range("num_chan", channels, 1, system.channels - channel)


def check_frames(system: System, frame: int, frames: int) -> int:
    """Return the slot of a frame; the block may not straddle the end of the memory."""
    slot = frame % system.ring
    check_range("num_tf", frames, 1, system.ring - slot)
    return slot

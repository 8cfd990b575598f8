"""How an emulated function fails: refusals become a status and a message, as the library's own do."""

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from xsp3ioc.sdk.cdef import Prototype, ffi, prototypes
from xsp3ioc.sdk.constants import Status
from xsp3ioc.sdk.emulator.incidents import Incidents
from xsp3ioc.sdk.emulator.leaves import OutsideLeaf, Part, call_on_leaf, place_of
from xsp3ioc.sdk.emulator.recorded import Recording
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.system import System

OK = Status.ok
ERROR = Status.error
INVALID_PATH = Status.invalid_path
ILLEGAL_CARD = Status.illegal_card
ILLEGAL_CHANNEL = Status.illegal_subpath
RANGE_CHECK = Status.range_check
DEVICE_NOT_FOUND = Status.device_not_found
CANNOT_OPEN_FILE = Status.cannot_open_file
FILE_READ_FAILED = Status.file_read_failed
FILE_WRITE_FAILED = Status.file_write_failed

_MESSAGE_BYTES = 1024
_OUTSIDE = {"card": ILLEGAL_CARD, "channel": ILLEGAL_CHANNEL, "range": RANGE_CHECK}

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
        recording: Recording | None = None,
    ) -> None:
        self.settings = settings
        self.recording = recording
        self._clock = clock
        self._sleep = sleep
        self._systems: dict[int, System] = {}
        self._message = ffi.new(f"char[{_MESSAGE_BYTES}]")
        self.incidents = Incidents(settings.faults, clock, sleep) if settings.faults.any else None

    def refuse(self, status: int, message: str) -> int:
        """Leave a message for xsp3_get_error_message and give the status back."""
        ffi.buffer(self._message)[:] = message.encode()[: _MESSAGE_BYTES - 1].ljust(_MESSAGE_BYTES, b"\0")
        return status

    def system(self, path: int) -> System:
        """Return the system behind a handle."""
        found = self._systems.get(path)
        if found is None:
            raise Refusal(INVALID_PATH, f"path {path} is not open")
        return found

    def leaf(self, path: int) -> Part | None:
        """Return what is behind the handle of one card of several, None if it is no such handle."""
        system = self._systems.get(0)
        if system is None or system.cards == 1 or not 1 <= path <= system.cards:
            return None
        return Part(system, range(path - 1, path), system.channels_of(path - 1))

    def part(self, path: int) -> Part:
        """Return what is behind a handle, of a card or of the whole system."""
        found = self.leaf(path)
        if found is not None:
            return found
        system = self.system(path)
        return Part(system, range(system.cards), range(system.channels))

    def open_system(self, arguments: tuple[Any, ...]) -> System | None:
        """Return the system whose handle is the first of a call's arguments, None if it is no open one."""
        if not arguments or not isinstance(arguments[0], int):
            return None
        part = self.leaf(arguments[0])
        return self._systems.get(arguments[0]) if part is None else part.system


def emulated(function: F) -> F:
    """Make a method one of the library's functions: faults first, refusals turned into a status."""
    name = function.__name__
    failed = _answer_of_failure(name)
    place = place_of(name)

    @wraps(function)
    def call(self: EmulatedCalls, *arguments: Any) -> Any:
        try:
            if self.incidents is None and (place is None or arguments[:1] == (0,)):
                return function(self, *arguments)
            leaf = self.leaf(arguments[0]) if place is not None and arguments and arguments[0] else None
            if place is None or leaf is None:
                return _carry_out(self, name, function, *arguments)
            return call_on_leaf(name, place, leaf, 0, partial(_carry_out, self, name, function), arguments)
        except (Refusal, OutsideLeaf) as problem:
            refusal = problem if isinstance(problem, Refusal) else Refusal(_OUTSIDE[problem.kind], str(problem))
            self.refuse(refusal.status, str(refusal))
            return refusal.status if failed is None else failed

    return cast(F, call)


def _answer_of_failure(name: str) -> Any:
    """Return what a function answers instead of a status; None if it answers that."""
    prototype = prototypes().get(name)
    return ffi.NULL if prototype is not None and prototype.result.endswith("*") else None


def _carry_out(library: EmulatedCalls, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    incidents = library.incidents
    if incidents is None:
        return function(library, *arguments)
    refused = incidents.before(name, arguments, library.open_system(arguments))
    if refused is not None:
        raise Refusal(*refused)
    result = function(library, *arguments)
    return incidents.after(name, arguments, library.open_system(arguments), result)


def not_emulated(prototype: Prototype) -> Callable[..., Any]:
    """Make a function that takes what the declaration says and always fails."""

    def call(self: EmulatedCalls, *_arguments: Any) -> Any:
        raise Refusal(ERROR, f"{prototype.name} is not emulated")

    call.__name__ = call.__qualname__ = prototype.name
    return emulated(call)


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

"""What C callers hand over: pointers that may be NULL, text, arrays, a card or channel that must be one."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.calls import ILLEGAL_CARD, RANGE_CHECK, Refusal
from xsp3ioc.sdk.emulator.system import System


def required(**pointers: Any) -> None:
    """Refuse a NULL among pointers that the function needs, by the argument's name."""
    for name, pointer in pointers.items():
        if pointer == ffi.NULL:
            raise Refusal(RANGE_CHECK, f"{name} is NULL, and must point to memory")


def text_of(pointer: Any) -> str:
    """Return a C string argument, empty for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode(errors="replace")


def required_text(name: str, pointer: Any) -> str:
    """Return a C string argument that may be neither NULL nor empty."""
    found = text_of(pointer)
    if not found:
        raise Refusal(RANGE_CHECK, f"{name} is {'NULL' if pointer == ffi.NULL else 'empty'}, and must be a path")
    return found


def array_at(pointer: Any, dtype: DTypeLike, *shape: int) -> NDArray[Any]:
    """Return the caller's memory as an array; it stays the caller's."""
    size = np.dtype(dtype).itemsize * math.prod(shape)
    return np.ndarray(shape, dtype, ffi.buffer(pointer, size))


def check_one_card(system: System, card: int) -> int:
    """Check and return a card argument that must name one card."""
    if not 0 <= card < system.cards:
        raise Refusal(ILLEGAL_CARD, f"card {card} is outside 0..{system.cards - 1}")
    return card


def check_part(name: str, first: int, count: int, total: int) -> None:
    """Check that `count` items, at least one, from `first` on are within `total`."""
    if count < 1 or not 0 <= first <= total - count:
        raise Refusal(RANGE_CHECK, f"{name}: {count} from {first} on is not within 0..{total - 1}")


def check_bits(name: str, value: int, allowed: int) -> int:
    """Check that only the bits of `allowed` are set, and return the value."""
    if value & ~allowed:
        raise Refusal(RANGE_CHECK, f"{name} = {value:#x} has bits outside {allowed:#x}")
    return value


def check_finite(**numbers: float) -> None:
    """Refuse infinities and not-a-number, by the argument's name."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise Refusal(RANGE_CHECK, f"{name} = {value} is not a finite number")

"""Updates as Channel Access sends them: thousands a second, so not by way of an object for each part."""

from __future__ import annotations

from struct import Struct
from typing import Any

import numpy as np
from caproto import ChannelType

_STRING_SIZE = 40
_EVENT, _NORMAL = 1, 1
_HEADER = Struct(">HHHHII")
_LONG_HEADER = Struct(">HHHHIIII")
_LONGEST = 0xFFFF

TIME_METADATA = {
    # status, severity, seconds and nanoseconds since 1990, and what aligns the value (db_access.h)
    ChannelType.TIME_STRING: Struct(">HHII"),
    ChannelType.TIME_ENUM: Struct(">HHII2x"),
    ChannelType.TIME_CHAR: Struct(">HHII3x"),
    ChannelType.TIME_LONG: Struct(">HHII"),
    ChannelType.TIME_DOUBLE: Struct(">HHII4x"),
}
_TYPES: dict[Any, np.dtype[Any]] = {
    ChannelType.ENUM: np.dtype(">u2"),
    ChannelType.LONG: np.dtype(">i4"),
    ChannelType.DOUBLE: np.dtype(">f8"),
}


def to_array(native: ChannelType, value: Any) -> Any:
    """Turn a channel's value into its elements as they are sent: big-endian array, bytes, or a list of strings."""
    if native == ChannelType.CHAR:
        return value
    if native == ChannelType.STRING:
        return [value.encode()]
    return np.array(value, _TYPES[native], ndmin=1, copy=None)


def event_message(sub: Any, metadata: Any, values: Any) -> bytes:
    """Compose the whole message for one subscription.

    A client that asked for more elements than there are gets zeros behind them, as from EPICS base.
    """
    count = sub.data_count or len(values)
    values = values[:count]
    missing = count - len(values)
    if isinstance(values, np.ndarray):
        data, size = values.tobytes(), values.dtype.itemsize
    elif isinstance(values, bytes):
        data, size = values, 1
    else:
        data, size = b"".join(text[: _STRING_SIZE - 1].ljust(_STRING_SIZE, b"\0") for text in values), _STRING_SIZE
    payload = bytes(metadata) + data + bytes(missing * size)
    payload += bytes(-len(payload) % 8)
    ids = _NORMAL, sub.subscriptionid
    if len(payload) < _LONGEST and count <= _LONGEST:
        return _HEADER.pack(_EVENT, len(payload), sub.data_type, count, *ids) + payload
    return _LONG_HEADER.pack(_EVENT, _LONGEST, sub.data_type, 0, *ids, len(payload), count) + payload

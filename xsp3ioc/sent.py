"""What a client has sent, as the core takes it."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_sent(data: Any, text: bool) -> Any:
    """Turn a client's data into what the core takes: int, float or str.

    Characters are one string up to the first zero where text is wanted; of other arrays there must be one element.
    """
    if text and isinstance(data, np.ndarray) and data.dtype.itemsize == 1:
        return decode(data.tobytes().split(b"\0", 1)[0])
    if len(data) != 1:
        raise ValueError(f"{len(data)} elements where one is expected")
    value = data[0]
    return decode(value) if isinstance(value, bytes) else value.item()


def decode(raw: bytes) -> str:
    """Read bytes as UTF-8, else as Latin-1, which never fails."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")

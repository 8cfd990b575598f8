"""The log of puts: who put what, what it was before, and what was refused for which reason; one line each."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np

from xsp3ioc.stream.parameter import Parameter

log = logging.getLogger("xsp3ioc.puts")
# An account of who did what: it does not depend on how much else is logged.
log.setLevel(logging.INFO)

_LONGEST = 200
"""Characters of a value, or of a name."""


class Caller(str):
    """Who puts, and how he calls what he puts to; a plain `str` calls it by the parameter's own name."""

    called: str

    def __new__(cls, who: str, called: str) -> Caller:
        """`who` is user@host; `called` the name of the record as the client wrote it."""
        caller = super().__new__(cls, who)
        # It goes into a log: a name must not look like more than a name.
        caller.called = re.sub("[^!-~]", "?", called[:_LONGEST])
        return caller


def note(who: str, name: str, new: str, old: str | None = None, refused: BaseException | str | None = None) -> None:
    """Write the line of one put; `name` is for callers who have no name of their own for it."""
    line = f"{who} {getattr(who, 'called', name)} = {new}"
    if old is not None:
        line += f", was {old}"
    if refused is not None:
        # A reason may have been made by a library, from anything.
        line += f", refused: {' '.join(str(refused).split()) or type(refused).__name__}"
    log.info("%s", line)


def said(value: Any, parameter: Parameter | None = None) -> str:
    """Return a value in one line of limited length; a choice with its name."""
    if isinstance(value, np.ndarray | list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype.itemsize == 1:
        value = value.tobytes()
    if isinstance(value, np.ndarray | list | tuple):
        return f"{len(value)} values"
    if isinstance(value, bytes):
        value = value.split(b"\0", 1)[0].decode(errors="replace")
    if parameter is not None and parameter.choices and isinstance(value, int) and 0 <= value < len(parameter.names):
        return f"{int(value)} {parameter.names[value]}"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

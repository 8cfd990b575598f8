"""What the core refuses, in the words of Tango."""

from __future__ import annotations

from typing import NoReturn

from tango import DevFailed, Except


def refuse(error: Exception, name: str) -> NoReturn:
    """Raise DevFailed: its reason is the kind of the error, its description the error's words."""
    if isinstance(error, DevFailed):
        raise error
    Except.throw_exception(type(error).__name__, str(error), f"Xspress3DS.{name}")
    raise error  # not reached: PyTango has raised

"""The C declarations of libxspress3, and the one `ffi` that everything in this package uses."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cffi

DECLARATIONS = (Path(__file__).parent / "data" / "sdk_abi.h").read_text(encoding="utf-8")

ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)

_FUNCTION = re.compile(r"^(?P<result>.*?[\s*])(?P<name>xsp3m?_\w+)\s*\((?P<parameters>.*)\)$", re.DOTALL)
_PARAMETER_NAME = re.compile(r"\(\*(\w+)\)|(\w+)\s*(?:\[\d*\])?$")


class Prototype(NamedTuple):
    """One C function as declared: C result type, name, names of its parameters, and its C pointer type as text."""

    result: str
    name: str
    parameters: tuple[str, ...]
    pointer_type: str


@cache
def prototypes() -> dict[str, Prototype]:
    """Every declared function by name, in the order of the declarations."""
    text = re.sub(r"/\*.*?\*/", " ", DECLARATIONS, flags=re.DOTALL)
    text = re.sub(r"\{[^{}]*\}", " ", text)
    found = (_FUNCTION.match(" ".join(statement.split())) for statement in text.split(";"))
    return {match["name"]: _prototype(match) for match in found if match}


def _prototype(match: re.Match[str]) -> Prototype:
    result = match["result"].strip()
    parameters = match["parameters"]
    names = tuple(_parameter_name(text) for text in _split(parameters)) if parameters != "void" else ()
    return Prototype(result, match["name"], names, f"{result}(*)({parameters})")


def _split(parameters: str) -> list[str]:
    """Split at the commas that are not inside a callback's own parameter list."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", parameters)]


def _parameter_name(text: str) -> str:
    match = _PARAMETER_NAME.search(text)
    if match is None:
        raise ValueError(f"no parameter name in {text!r}")
    return match[1] or match[2]

"""The C declarations of libxspress3, and the one `ffi` that everything in this package uses."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cffi

DECLARATIONS = (Path(__file__).parent / "data" / "sdk_abi.h").read_text(encoding="utf-8")

ffi = cffi.FFI()
ffi.cdef(DECLARATIONS)

marker_ffi = cffi.FFI()
"""Declares `xsp3ioc_emulated`, which our emulator exports as a shared library and the vendor's library does not."""
marker_ffi.cdef("extern int xsp3ioc_emulated;")

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_BODY = re.compile(r"\{[^{}]*\}")
_FUNCTION = re.compile(r"^(?P<result>.*?[\s*])(?P<name>xsp3m?_\w+)\s*\((?P<parameters>.*)\)$", re.DOTALL)
_PARAMETER_NAME = re.compile(r"\(\*(\w+)\)|(\w+)\s*(?:\[\d*\])?$")
_CONSTANTS = re.compile(r"enum\s*(\{[^{}]*\})", re.DOTALL)
_CONSTANT = re.compile(r"(\w+) = (-?\w+)")


class Prototype(NamedTuple):
    """One C function as declared: C result type, name, names of its parameters, and its C pointer type as text."""

    result: str
    name: str
    parameters: tuple[str, ...]
    pointer_type: str

    @property
    def parameter_text(self) -> str:
        """The parameters with their types, as between the parentheses of a declaration."""
        return self.pointer_type.removeprefix(f"{self.result}(*)(").removesuffix(")")

    @property
    def text(self) -> str:
        """The declaration, without the semicolon."""
        return f"{self.result} {self.name}({self.parameter_text})"


@cache
def prototypes() -> dict[str, Prototype]:
    """Every declared function by name, in the order of the declarations."""
    found = (_FUNCTION.match(" ".join(statement.split())) for statement in _BODY.sub(" ", _code()).split(";"))
    return {match["name"]: _prototype(match) for match in found if match}


@cache
def constants() -> dict[str, str]:
    """Every declared constant by name, in the order of the declarations, as the literal that stands there.

    Those of enumerated types are part of `types`.
    """
    enums = (match[1] for statement in _statements() if (match := _CONSTANTS.fullmatch(statement)))
    return {name: value for enum in enums for name, value in _CONSTANT.findall(enum)}


@cache
def types() -> tuple[str, ...]:
    """Every declared type, in the order of the declarations, as C statements without comments."""
    return tuple(f"{statement};" for statement in _statements() if statement.startswith("typedef "))


def _code() -> str:
    return _COMMENT.sub(" ", DECLARATIONS)


def _statements() -> list[str]:
    """Split the declarations at the semicolons that are not inside a body."""
    return [" ".join(statement.split()) for statement in re.split(r";(?![^{}]*\})", _code())]


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

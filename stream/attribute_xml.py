"""The XML text that defines NDAttributes, as areaDetector has it: macros, elements, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any
from xml.parsers import expat

import msgspec

from xsp3ioc.stream.attribute_sources import find_type, parameter_name
from xsp3ioc.stream.attributes import CONST, EPICS_PV, KINDS, MOST, PARAM, TEXT, Attribute, DataType
from xsp3ioc.stream.parameter import Parameter

LARGEST = 1 << 20
"""Characters of a text, macros filled in."""
LONGEST_TEXT = 255
"""Bytes of a constant or a description."""
_MACRO = re.compile(r"\$(?:\(([^()=]*)(?:=([^()]*))?\)|\{([^{}=]*)(?:=([^{}]*))?\})")
_DEFINITION = re.compile(r"""\s*([\w.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|((?!["'])[^,]*?))\s*(?:,|\Z)""")
_DATA_TYPES: dict[str, DataType] = {"INT": "i4", "INT64": "i8", "DOUBLE": "f8", "STRING": TEXT}
_DBR_TYPES: dict[str, DataType | None] = {
    "DBR_CHAR": "i1",
    "DBR_SHORT": "i2",
    "DBR_ENUM": "i2",
    "DBR_INT": "i4",
    "DBR_LONG": "i4",
    "DBR_FLOAT": "f4",
    "DBR_DOUBLE": "f8",
    "DBR_STRING": TEXT,
    "DBR_NATIVE": None,
}


class Status(IntEnum):
    """How reading a definition went, as the record NDAttributesStatus says it."""

    good = 0
    not_found = 1
    syntax = 2
    macros = 3


class AttributesError(ValueError):
    """A definition that cannot be used: what, and where."""

    def __init__(self, text: str, status: Status = Status.syntax):
        super().__init__(text)
        self.status = status


class Definition(msgspec.Struct, frozen=True):
    """One attribute as it is defined, before the types of records are known."""

    attribute: Attribute
    native: bool = False
    """The record's own type is to be written: text or number."""


def read_attributes(
    text: str, macros: str, parameters: Mapping[str, Parameter], channels: int
) -> tuple[Definition, ...]:
    """Return what `text` defines; AttributesError says what is wrong. `macros`: NAME=VALUE,..."""
    # areaDetector leaves a text as it is where there are no macros: many clients write them after the text.
    expanded = expand(text, read_macros(macros)) if macros.strip() else text
    elements = _elements(expanded)
    # All at once: whoever brings a file from another driver wants to know them all.
    if functions := [fields.get("name", "") for _, fields in elements if fields.get("type") == "FUNCT"]:
        names = ", ".join(functions[:5]) + (", ..." if len(functions) > 5 else "")
        raise AttributesError(
            f"{len(functions)} of {len(elements)} attributes are of type FUNCT ({names}): functions that are compiled "
            f"into a driver are not here; use {', '.join(KINDS)}"
        )
    found: dict[str, Definition] = {}
    for line, fields in elements:
        name = fields.get("name", "")
        where = f"line {line}, attribute {name!r}"
        if not name:
            raise AttributesError(f"line {line}: an Attribute has no name")
        if name in found:
            raise AttributesError(f"{where} comes twice")
        if len(found) == MOST:
            raise AttributesError(f"{where}: there are more than {MOST} attributes")
        try:
            found[name] = _definition(name, fields, parameters, channels)
        except ValueError as error:
            raise AttributesError(f"{where}: {error}") from None
    return tuple(found.values())


def read_macros(text: str) -> dict[str, str]:
    """Return macros by name; AttributesError if `text` is not NAME=VALUE,..."""
    found, at = {}, 0
    while text[at:].strip():
        match = _DEFINITION.match(text, at)
        if match is None:
            raise AttributesError(f"macros: {text[at:].strip()!r} does not begin with NAME=VALUE", Status.macros)
        name, *values = match.groups()
        found[name] = next(value for value in values if value is not None)
        at = match.end()
    return found


def expand(text: str, macros: Mapping[str, str]) -> str:
    """Fill in `$(NAME)`, `${NAME}` and `$(NAME=default)`; AttributesError if one is not known."""
    size = 0

    def value(match: re.Match[str]) -> str:
        nonlocal size
        name = match[1] if match[1] is not None else match[3]
        default = match[2] if match[1] is not None else match[4]
        filled = macros.get(name.strip(), default)
        if filled is None:
            line = text.count("\n", 0, match.start()) + 1
            known = ", ".join(macros)
            raise AttributesError(f"line {line}: macro {name!r} is not defined; defined are {known}", Status.macros)
        size += len(filled)
        if size > LARGEST:
            raise AttributesError(f"macros make a text of more than {LARGEST} characters", Status.macros)
        return filled

    return _MACRO.sub(value, text)


def _elements(text: str) -> list[tuple[int, dict[str, str]]]:
    """Line and attributes of each element `Attribute` of the element `Attributes`."""
    if len(text) > LARGEST:
        raise AttributesError(f"{len(text)} characters are more than {LARGEST}")
    # What an XML declaration says of the encoding was true of the bytes that this text was read from.
    parser = expat.ParserCreate("utf-8")
    found: list[tuple[int, dict[str, str]]] = []
    depth = 0

    def refuse(*declaration: Any) -> Any:
        # Entities make huge texts of small ones, and read files and other hosts.
        raise AttributesError(f"line {parser.CurrentLineNumber}: a DTD or entity is not allowed")

    def begin(tag: str, fields: dict[str, str]) -> None:
        nonlocal depth
        wanted = ("Attributes", "Attribute", "nothing")[min(depth, 2)]
        if tag != wanted or depth > 1:
            where = f"line {parser.CurrentLineNumber}"
            raise AttributesError(f"{where}: element {tag[:40]!r} where only {wanted} may be")
        if depth:
            found.append((parser.CurrentLineNumber, fields))
        depth += 1

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        what = expat.errors.messages.get(error.code, "not XML")
        raise AttributesError(f"line {error.lineno}, column {error.offset + 1}: {what}") from None
    return found


def _definition(name: str, fields: Mapping[str, str], parameters: Mapping[str, Parameter], channels: int) -> Definition:
    wanted, source, description = fields.get("type", EPICS_PV), fields.get("source"), fields.get("description", "")
    kind = next((kind for kind in KINDS if kind == wanted), None)
    if kind is None:
        raise ValueError(f"type {wanted[:40]!r} is none of {', '.join(KINDS)}")
    if source is None or (not source and kind != CONST):
        raise ValueError("it has no source")
    datatype, native = _data_type(kind, fields)
    addr = _number(fields.get("addr", "0"))
    if kind == PARAM:
        datatype = find_type(source, addr, datatype, parameters, channels)
    elif kind == CONST:
        datatype = datatype or TEXT
        _check_constant(source, datatype)
    elif not source.isprintable() or len(source) > LONGEST_TEXT or " " in source:
        raise ValueError(f"source {source[:60]!r} is no name of a record")
    parameter = parameters.get(parameter_name(source)) if kind == PARAM else None
    attribute = Attribute(
        name=name,
        type=kind,
        source=source,
        addr=addr,
        datatype=datatype or "f8",
        description=_shorten(description),
        unit=parameter.unit if parameter else "",
    )
    try:
        # A name that the writer would not take.
        msgspec.convert(msgspec.to_builtins(attribute), Attribute)
    except msgspec.ValidationError:
        raise ValueError("a name has 1 to 100 characters and no / in it") from None
    return Definition(attribute, native)


def _data_type(kind: str, fields: Mapping[str, str]) -> tuple[DataType | None, bool]:
    """Return the type that is asked for, and whether it is the record's own."""
    if kind != PARAM and (dbr := fields.get("dbrtype")) is not None:
        if dbr not in _DBR_TYPES:
            raise ValueError(f"dbrtype {dbr[:40]!r} is none of {', '.join(_DBR_TYPES)}")
        return _DBR_TYPES[dbr], kind == EPICS_PV and dbr == "DBR_NATIVE"
    if kind == EPICS_PV:
        return None, True  # the driver's own file has data types here, which areaDetector does not look at
    if (wanted := fields.get("datatype")) is None:
        return None, False
    if wanted.upper() not in _DATA_TYPES:
        raise ValueError(f"datatype {wanted[:40]!r} is none of {', '.join(_DATA_TYPES)}")
    return _DATA_TYPES[wanted.upper()], False


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"addr {text[:40]!r} is not a whole number") from None


def _check_constant(source: str, datatype: DataType) -> None:
    if datatype == TEXT:
        if len(source.encode()) > LONGEST_TEXT:
            raise ValueError(f"the constant has more than {LONGEST_TEXT} bytes")
        return
    try:
        number = float(source)
        bits = 8 * int(datatype[1:])
        fits = datatype[0] == "f" or (number == int(number) and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1))
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        what = "number" if datatype[0] == "f" else f"whole number of {8 * int(datatype[1:])} bits"
        raise ValueError(f"the constant {source[:40]!r} is not a {what}")


def _shorten(text: str) -> str:
    return text.encode()[:LONGEST_TEXT].decode(errors="ignore")

"""NDAttributes as they are put: where their definitions are found, what they stand for, what a series has of them."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import msgspec

from xsp3ioc.stream.attribute_sources import as_written, parameter_name
from xsp3ioc.stream.attribute_values import RecordValues, Wanted
from xsp3ioc.stream.attribute_xml import LARGEST, AttributesError, Definition, Status, read_attributes
from xsp3ioc.stream.attributes import CONST, EPICS_PV, STANDARD_FILE, TEXT, Attribute, AttributeSet, Value
from xsp3ioc.stream.commands import FIXED_BY_SERIES
from xsp3ioc.stream.disk import NoAnswerError, ask
from xsp3ioc.stream.file_commands import FileCommands
from xsp3ioc.stream.messages import Capture, Header
from xsp3ioc.stream.parameter import Severity

log = logging.getLogger(__name__)

DETECTOR, FILE = WHOSE = ("attributes", "file_attributes")
"""Beginnings of the parameters' names."""


class AttributeCommands(FileCommands):
    """`NDAttributesFile` and `NDAttributesMacros` of the detector, and of the file."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.record_values = RecordValues(self._show_missing)
        """Records that attributes name; the face that can look for them fills it."""
        self._definitions: dict[str, tuple[Definition, ...]] = dict.fromkeys(WHOSE, ())
        self._standard = {DETECTOR: True, FILE: False}

    def _put_attributes_file(self, value: str, index: int | None) -> Future[None]:
        return self._put_attributes(DETECTOR, value, self.values["attributes_macros"])

    def _put_attributes_macros(self, value: str, index: int | None) -> Future[None]:
        return self._put_attributes(DETECTOR, self.values["attributes_file"], value)

    def _put_file_attributes_file(self, value: str, index: int | None) -> Future[None]:
        return self._put_attributes(FILE, value, self.values["file_attributes_macros"])

    def _put_file_attributes_macros(self, value: str, index: int | None) -> Future[None]:
        return self._put_attributes(FILE, self.values["file_attributes_file"], value)

    def _put_attributes(self, whose: str, file: str, macros: str) -> Future[None]:
        try:
            text = self._find_text(file)
            definitions = read_attributes(text, macros, self.parameters, self.values["channels"]) if text else ()
        except AttributesError as error:
            self.update(f"{whose}_status", int(error.status))
            raise AttributesError(f"{self.parameters[f'{whose}_file'].label}: {error}", error.status) from None
        self._definitions[whose] = definitions
        self._standard[whose] = text is None
        self.update_all({f"{whose}_file": file, f"{whose}_macros": macros, f"{whose}_status": int(Status.good)})
        self._definitions_changed()
        series = self.series
        if series is not None and series.file is None:
            # A file may be opened in the middle of it, and has the new ones.
            both = series.header.attributes.with_more(self._set().attributes)
            series.read_attributes = self._attribute_reader(msgspec.structs.replace(series.header, attributes=both))
        order = self._open_order()
        if order is not None and self._set() != order.attributes:
            self.say(f"The new NDAttributes are for the next file; {order.filename} keeps its own")
        return self.record_values.want(self._wanted())

    def _definitions_changed(self) -> None:
        """Tell whoever else shows attributes."""

    def _find_text(self, file: str) -> str | None:
        """Return the XML text that is meant; None: the standard set."""
        if not file.strip():
            return ""
        if file.lstrip().startswith("<"):
            return file
        if "\n" in file:
            raise AttributesError("neither XML text, which begins with <, nor the name of a file")
        places = [os.path.join(place, file) for place in (self.values["config_path"], os.getcwd()) if place]
        for path in dict.fromkeys(places):
            if (text := _read_patiently(path)) is not None:
                return text
        if file == STANDARD_FILE:
            return None
        raise AttributesError(f"there is no file {' or '.join(dict.fromkeys(places))}", Status.not_found)

    def _order(self, **changes: Any) -> Capture:
        return msgspec.structs.replace(super()._order(**changes), attributes=self._set())

    def _open_order(self) -> Capture | None:
        """Return the order of the file that is being written, if one is: what that has cannot change any more."""
        file = self.recorder.file
        return None if file is None or file.over or file.waiting else file.order

    def _set(self) -> AttributeSet:
        """Return what the next file has."""
        chosen = AttributeSet(standard=any(self._standard.values()))
        if chosen.standard:
            chosen = chosen.with_more(
                Attribute(
                    name=name.capitalize(), type=CONST, source=self.values[name], datatype=TEXT,
                    description=self.parameters[name].doc,
                )
                for name in ("manufacturer", "model")
            )  # fmt: skip
        for whose in WHOSE:
            chosen = chosen.with_more(self._resolved(one) for one in self._definitions[whose])
        return chosen

    def _resolved(self, definition: Definition) -> Attribute:
        """With the type of a record that is written as it is: text if it says text now, else a number."""
        attribute = definition.attribute
        if definition.native and isinstance(self.record_values.latest(Wanted(attribute.source)), str):
            return msgspec.structs.replace(attribute, datatype=TEXT)
        return attribute

    def _wanted(self) -> frozenset[Wanted]:
        attributes = [one.attribute for definitions in self._definitions.values() for one in definitions]
        if (order := self._open_order()) is not None:
            attributes += order.attributes.attributes
        return frozenset(Wanted(one.source, one.is_text) for one in attributes if one.type == EPICS_PV)

    def _with_attributes(self, header: Header) -> Header:
        """Return the header of a series that begins now with the attributes that its frames have."""
        order = self._open_order()
        ours = order is not None and order.capture_id == header.capture_id
        return msgspec.structs.replace(header, attributes=order.attributes if order and ours else self._set())

    def _attribute_reader(self, header: Header) -> Callable[[], dict[str, Value]]:
        """Return what makes the values of the attributes of a series, those that the writer cannot know, by name."""
        readers = {
            attribute.name: self._reader(attribute, header.parameters)
            for attribute in header.attributes.attributes
            if not attribute.of_the_frame and attribute.type != CONST
        }
        if not readers:
            return dict
        return lambda: {name: read() for name, read in readers.items()}

    def _reader(self, attribute: Attribute, settings: Mapping[str, Any]) -> Callable[[], Value]:
        if attribute.type == EPICS_PV:
            return self._record_reader(attribute)
        name = parameter_name(attribute.source)
        if name in FIXED_BY_SERIES:  # a put to it in mid-series is for the next one
            constant = as_written(self.parameters[name], settings[name], attribute.is_text)
            return lambda: constant
        return self._parameter_reader(name, attribute.addr, attribute.is_text)

    def _record_reader(self, attribute: Attribute) -> Callable[[], Value]:
        latest = self.record_values.latest
        wanted, plain = Wanted(attribute.source, attribute.is_text), Wanted(attribute.source)
        return lambda: value if (value := latest(wanted)) is not None else latest(plain)

    def _parameter_reader(self, source: str, addr: int, as_text: bool) -> Callable[[], Value]:
        name = parameter_name(source)
        parameter = self.parameters[name]
        if parameter.per_channel:
            return lambda: as_written(parameter, self.values[name][addr], as_text)
        return lambda: as_written(parameter, self.values[name], as_text)

    def _show_missing(self, missing: list[str]) -> None:
        severity = Severity.minor if missing else None
        for whose in WHOSE:
            wanted = {one.attribute.source for one in self._definitions[whose] if one.attribute.type == EPICS_PV}
            if wanted:
                hit = severity if wanted.intersection(missing) else None
                self.update(f"{whose}_status", self.values[f"{whose}_status"], severity=hit)
        if missing:
            some = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            self.say(f"NDAttributes: no answer from {some}; NaN is written until there is one", Severity.minor)
        else:
            log.info("NDAttributes: all records answer")


def _read_patiently(path: str) -> str | None:
    """Return what is in a file; None if there is none. AttributesError if it is none of ours."""
    try:
        return ask(lambda: _read(path), path)
    except NoAnswerError as error:
        raise AttributesError(str(error), Status.not_found) from None


def _read(path: str) -> str | None:
    try:
        # Not to wait for somebody who writes into a pipe.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise AttributesError(f"{path} is not a file", Status.not_found)
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise AttributesError(f"{path} cannot be read: {why}", Status.not_found) from None
    if len(raw) > LARGEST:
        raise AttributesError(f"{path} has more than {LARGEST} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")

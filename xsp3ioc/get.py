"""`xsp3ioc get`: all about some PVs of a running server, read from it through Channel Access."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import Any

import caproto
import msgspec
import numpy as np

from xsp3ioc.ca_reader import Reader, ReadError
from xsp3ioc.server_command import ask, make_parser

SHOWN = 8
"""Elements of an array."""


class Place(msgspec.Struct, tag="address", tag_field="htype"):
    """A server's answer to `address`: where its Channel Access is, and how its PVs begin."""

    port: int
    prefix: str
    detector_prefix: str


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc get`; return the exit code: 1 if there is no server, or one of the PVs is not there."""
    parser = make_parser("get", "Show all about PVs of a running server.")
    parser.add_argument("pv", nargs="+", metavar="PV", help="name, with or without macros P and R; a field too (X.EGU)")
    options = parser.parse_args(arguments)
    place = ask(parser, options, "address", Place)
    try:
        return _show(options.pv, place, _host(options.monitor))
    except ReadError as error:
        sys.stderr.write(f"xsp3ioc get: {error}\n")
        return 1


def _host(monitor: str) -> str:
    return re.sub(r"^\w+://|:\d+$", "", monitor)


def _show(names: list[str], place: Place, host: str) -> int:
    code = 0
    with Reader(host, place.port) as reader:
        for name in names:
            tries = (name, place.prefix + name, place.prefix + place.detector_prefix + name)
            channel = next((found for found in map(reader.channel, tries) if found is not None), None)
            if channel is None:
                sys.stderr.write(f"xsp3ioc get: {' or '.join(dict.fromkeys(tries))} is none of its PVs\n")
                code = 1
            else:
                _print(channel.name, _rows(reader, channel))
    return code


def _rows(reader: Reader, channel: Any) -> list[tuple[str, str]]:
    """Make names and texts of all that a PV says about itself."""
    native, count = channel.native_data_type, channel.native_data_count
    timed, full = reader.read(channel, "time"), reader.read(channel, "control")
    choices = [decode(choice) for choice in getattr(full.metadata, "enum_strings", ())]
    writable = channel.access_rights & caproto.AccessRights.WRITE
    alarm, status = caproto.AlarmSeverity(timed.metadata.severity), caproto.AlarmStatus(timed.metadata.status)
    time = datetime.fromtimestamp(timed.metadata.timestamp).astimezone()
    rows = [
        *((field, _field(reader, channel.name, field)) for field in ("DESC", "RTYP", "SCAN")),
        ("type", caproto.ChannelType(native).name + (f"[{count}]" if count > 1 else "")),
        ("access", "read, write" if writable else "read only"),
        ("value", _value(native, timed.data, choices)),
        ("choices", ", ".join(f"{number} {choice}" for number, choice in enumerate(choices))),
        ("unit", decode(getattr(full.metadata, "units", b""))),
        ("precision", str(getattr(full.metadata, "precision", ""))),
        ("limits", _limits(full.metadata, "ctrl")),
        ("display", _limits(full.metadata, "disp")),
        ("alarm", f"{alarm.name.removesuffix('_ALARM')} {status.name}" if alarm else alarm.name),
        ("time", time.isoformat(sep=" ", timespec="milliseconds")),
    ]
    return [(name, text) for name, text in rows if text]


def _limits(metadata: Any, kind: str) -> str:
    low, high = (getattr(metadata, f"{end}_{kind}_limit", 0) for end in ("lower", "upper"))
    return f"{low:.10g} .. {high:.10g}" if low < high else ""


def _field(reader: Reader, name: str, field: str) -> str:
    channel = reader.channel(f"{name}.{field}") if "." not in name.rpartition(":")[2] else None
    if channel is None:
        return ""
    full = reader.read(channel, "control")
    choices = [decode(choice) for choice in getattr(full.metadata, "enum_strings", ())]
    return choices[int(full.data[0])] if choices else decode(full.data[0])


def _value(native: Any, data: Any, choices: list[str]) -> str:
    if choices:
        number = int(data[0])
        return f"{number} {choices[number] if number < len(choices) else '?'}"
    if native == caproto.ChannelType.CHAR:
        return repr(decode(np.asarray(data).tobytes().split(b"\0")[0]))
    if native == caproto.ChannelType.STRING:
        return repr(decode(data[0]))
    texts = [f"{value:.10g}" for value in data[:SHOWN]]
    more = f" ... ({len(data)} values)" if len(data) > SHOWN else ""
    return (" ".join(texts) or "no values") + more


def decode(raw: bytes) -> str:
    """Read text as it is on the wire."""
    return bytes(raw).split(b"\0")[0].decode("utf-8", "replace")


def _print(name: str, rows: list[tuple[str, str]]) -> None:
    sys.stdout.write(name + "\n")
    for title, text in rows:
        sys.stdout.write(f"  {title:10} {text}\n")

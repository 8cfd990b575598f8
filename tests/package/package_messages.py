"""The fields of the stream's messages, from their declarations: names, JSON types, defaults, meanings."""

from __future__ import annotations

import ast
import inspect
import re

import msgspec

from xsp3ioc.stream import messages, orders

PLAIN = {
    "msg_number": "counts the messages of a series, those to others too; the header is 0",
    "series_id": "counts the series of this server, from 1",
    "capture_id": "the capture that is meant",
    "filename": "path of the file, on the server's host; empty: none",
    "frames": "of the file; 0: any number",
    "channels": "of the detector",
    "bins": "of a spectrum",
    "gap": "dead time between two frames that the detector times itself, s",
    "trigger_mode": "as the record `TriggerMode` says it",
    "good_thresholds": "per channel, bins",
    "simulated": "the detector is emulated",
    "detector": "model",
    "host": "where the server runs",
    "library": "version of the vendor's library",
    "firmware": "of the detector",
    "protocol": "always `xsp3ioc`",
    "version": "of the protocol",
    "type": "of the spectra",
    "frame": "number of its first frame in the series, from 0",
    "shape": "frames, channels, bins",
    "error": "for people to read",
    "reason": "for people to read",
    "name": "what the server calls it in its log and its status",
    "credit": "1 to 32",
    "n": "blocks that may be sent again",
    "first": "its number in the series",
    "last": "its number in the series, inclusive",
    "acquired": "frames that were read from the detector and are valid",
    "overwrite": "a file of that name is replaced",
    "compression": "of the file",
    "flush_interval": "s between two flushes",
    "description": "for people to read",
    "addr": "of a parameter that each channel has",
    "datatype": "of the values",
}
TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}


def meanings(kind: type) -> dict[str, str]:
    """The docstrings below the fields."""
    body = ast.parse(inspect.getsource(kind).lstrip()).body[0].body
    found = {}
    for before, after in zip(body, body[1:], strict=False):
        text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and str(after.value.value)
        if isinstance(before, ast.AnnAssign) and text:
            found[before.target.id] = " ".join(text.split())
    return found


def json_type(field: msgspec.structs.FieldInfo, kind: type) -> str:
    text = str(kind.__annotations__[field.name])
    text = text.removesuffix(" | msgspec.UnsetType")
    text = text.replace("dict[str, Any]", "object").replace("dict[str, ", "object [")
    text = re.sub(r"\b(list|tuple)\[", "array [", text)
    return re.sub(r"\b(str|int|float|bool|None)\b", lambda found: TYPES[found[0]], text).replace("|", "or")


def rows(kind: type) -> list[tuple[object, ...]]:
    told = meanings(kind)
    found = []
    for field in msgspec.structs.fields(kind):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        shown = "" if default in (msgspec.NODEFAULT, msgspec.UNSET) else f"`{msgspec.json.encode(default).decode()}`"
        meaning = told.get(field.name) or PLAIN.get(field.name, "")
        found.append((f"`{field.name}`", json_type(field, kind), shown, meaning))
    return found


def fields(table) -> str:
    """One table for each message that a receiver sends or gets, and for what lies in them."""
    kinds = [
        messages.Hello, messages.Credit, messages.Header, messages.Image, messages.SeriesEnd, messages.Gap,
        orders.Capture, orders.CaptureEnd, messages.Refused, messages.Unknown, orders.SettingsFiles,
    ]  # fmt: skip
    parts = []
    for kind in kinds:
        tag = getattr(kind.__struct_config__, "tag", None)
        title = f"`{tag}`" if tag else kind.__name__
        summary = (kind.__doc__ or "").splitlines()[0]
        parts.append(f"**{title}**: {summary}\n\n" + table(("field", "type", "default", "meaning"), *rows(kind)))
    return "\n".join(parts)

"""The tables in docs/ that follow from the code; `python tests/package/package_tables.py` writes them anew."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import msgspec
import package_files
import package_messages

from xsp3ioc.receivers.layout import READERS
from xsp3ioc.records import DETECTOR, READBACK, all_records
from xsp3ioc.stream import messages
from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.life import TRANSITIONS
from xsp3ioc.stream.parameter import parameters
from xsp3ioc.tango.attributes import BUILT_IN, Walked

DOCS = Path(__file__).parents[2] / "docs"
PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(*rows: tuple[object, ...]) -> str:
    head, *rest = [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    lines = [head, " | ".join(["---"] * len(rows[0])), *rest]
    return "".join(f"| {line} |\n" for line in lines)


def states() -> str:
    return table(
        ("state", "event", "next state"),
        *((before.value, event, after.value) for (before, event), after in TRANSITIONS.items()),
    )


def protocol() -> str:
    rows = []
    for kind in vars(messages).values():
        if isinstance(kind, type) and issubclass(kind, messages.Message) and kind is not messages.Message:
            tag = kind.__struct_config__.tag
            fields = ", ".join(field.name for field in msgspec.structs.fields(kind))
            rows.append((f"`{tag}`", fields, (kind.__doc__ or "").splitlines()[0]))
    return table(("htype", "fields", "meaning"), *rows)


def settings() -> str:
    rows = []
    for parameter in parameters(Declared).values():
        if not parameter.writable or parameter.command:
            continue
        if parameter.choices:
            values = ", ".join(f"{number} {name}" for number, name in enumerate(parameter.names))
        elif parameter.low is not None:
            high = f"{parameter.high:g}" if isinstance(parameter.high, float) else parameter.high
            values = f"{parameter.low:g} .. {high}" if high is not None else f"from {parameter.low:g}"
        else:
            values = ""
        pv = parameter.pv.removeprefix("/") if parameter.pv.startswith("/") else f"det1:{parameter.pv}"
        default = int(parameter.default) if isinstance(parameter.default, bool) else parameter.default
        default = str(default).replace(tempfile.gettempdir(), "/tmp")
        name = f"`{parameter.name}`" + (" *" if parameter.per_channel else "")
        rows.append((name, f"`{pv}`", f"`{default}`" if default != "" else "", parameter.unit, values, parameter.doc))
    return table(("name", "PV", "default", "unit", "values", "meaning"), *rows)


def records() -> str:
    """Every record, one line for all channels, ROIs and scalers."""
    lines = []
    for record in all_records(parameters(Declared).values(), 1, ""):
        if isinstance(record.index, tuple) and record.index[1]:
            continue
        name = record.row.pv if record.row is not None else record.parameter.pv
        if record.row is None:
            name = name.removeprefix("/") if name.startswith("/") else DETECTOR + name
            name += READBACK if record.parameter.writable and not record.writable else ""
        values = ", ".join(f"{number} {choice}" for number, choice in enumerate(record.choices) if choice)
        size = f"[{record.count}]" if record.count > 1 else ""
        alive = "" if record.plain else "yes"
        access = "rw" if record.writable else "ro"
        lines.append((f"`{name}`", record.record_type + size, access, alive, record.unit or values, record.doc))
    return table(("PV", "type", "access", "alive", "unit or states", "meaning"), *sorted(lines))


def tango_attributes() -> str:
    """Every attribute that Tango's clients see but those of a single channel, State and Status."""
    lines = []
    for parameter in parameters(Declared).values():
        if parameter.attribute in BUILT_IN:
            continue
        one = Walked(parameter, 1)
        kind = (one.type, f"{one.type}[{{}}]", f"{one.type}[{{}}, {{}}]")[len(one.shape)]
        sizes: list[object] = ["channels" if parameter.per_channel else "", *one.rows[1:]]
        if one.is_array:
            rows = f"channels x {one.rows[1]}" if one.rows[1:] else sizes[0]
            sizes = [rows, parameter.length] if one.rows else [parameter.length]
        access = "rw" if parameter.writable else "ro"
        ends = [one.limits.get(end, "") for end in ("min_value", "max_value")]
        values = ", ".join(f"{number} {name}" for number, name in enumerate(one.labels))
        if ends != ["", ""]:
            values = " .. ".join(f"{end:g}" if isinstance(end, float) else str(end) for end in ends)
        pv = parameter.pv.removeprefix("/") if parameter.pv.startswith("/") else f"det1:{parameter.pv}"
        doc = one.doc + (" (memorized)" if parameter.memorized else "") + (" (expert)" if parameter.expert else "")
        shown = f"`{pv}`" if parameter.pv else ""
        lines.append((f"`{one.name}`", kind.format(*sizes), access, parameter.unit, values, doc, shown))
    return table(("attribute", "type", "access", "unit", "values", "meaning", "PV"), *sorted(lines, key=str))


def readers() -> str:
    rows = [(reader, ", ".join(f"`{path}`" for path in paths), remark) for reader, paths, remark in READERS]
    return table(("reader", "looks for", "remark"), *rows)


TABLES = {
    "states": states, "protocol": protocol, "protocol_fields": lambda: package_messages.fields(table),
    "settings": settings, "records": records,
    "tango_attributes": tango_attributes,
    "file_readers": readers, "file_tree": package_files.tree,
}  # fmt: skip


def current(text: str) -> str:
    """The text of a page with its tables as they should be."""
    return PLACE.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


if __name__ == "__main__":
    for page in DOCS.glob("*.md"):
        page.write_text(current(page.read_text()))

"""Which of the plain records are saved: those that the areaDetector IOC saves, where somebody has changed them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from xsp3ioc.autosave_settings import WHO, as_saved
from xsp3ioc.plain import Plain
from xsp3ioc.records import Record
from xsp3ioc.stream.parameter import place

log = logging.getLogger(__name__)


class PlainSettings:
    """A source of `Autosave`."""

    def __init__(self, plain: Plain, records: Iterable[Record]) -> None:
        """Of `records` it takes its own."""
        self._plain = plain
        self._records = {
            place(record.row.pv, record.index): record
            for record in records
            # A busy record's value is that it works.
            if record.plain and record.writable and record.row is not None
            and "VAL" in record.row.autosave and record.record_type != "busy"
        }  # fmt: skip

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` when a setting has changed."""
        self._plain.on_change = changed

    def knows(self, name: str) -> bool:
        """Whether it is one of these records."""
        return name in self._records

    def settings(self) -> dict[str, Any]:
        """Return what differs from the first values."""
        found = {}
        for pv, index in list(self._plain.values):
            record = self._records.get(name := place(pv, index))
            if record is None or record.row is None:
                continue
            value = as_saved(record.parameter, self._plain.get(record))
            if value != as_saved(record.parameter, record.row.first_value(index)):
                found[name] = value
        return found

    def restore(self, settings: Mapping[str, Any]) -> int:
        """Put the values; what is refused is logged and left out. The number of those."""
        refused = 0
        for name, value in settings.items():
            error = self._plain.put(self._records[name], value, WHO).exception()
            if error is not None:
                refused += 1
                log.error("Saved setting %s: %s", name, error)
        return refused

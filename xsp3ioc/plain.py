"""Records that clients connect to and nothing depends on: they keep what is written to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from xsp3ioc.records import Record
from xsp3ioc.stream.parameter import Index, Parameter, Severity, Update


class Plain:
    """Values of the plain records, where they are not the first ones; a write is checked like any other."""

    def __init__(self, tell: Callable[[Update], None]) -> None:
        """`tell` shows a change."""
        self._tell = tell
        self.values: dict[tuple[str, Index], Any] = {}
        """By name of the setpoint's parameter, and index."""

    def get(self, record: Record) -> Any:
        """Return what a record shows."""
        key = (record.parameter.name, record.index)
        if record.row is None or key in self.values:
            return self.values.get(key, record.parameter.default)
        return record.row.first_value(record.index)

    def put(self, record: Record, value: Any) -> Future[None]:
        """Keep a value; done at once, or refused with ValueError."""
        future: Future[None] = Future()
        parameter, index = record.parameter, record.index
        try:
            kept = self._convert(record, parameter, value)
        except ValueError as error:
            old = self.get(record)
            self._tell(Update(parameter.name, old, time.time(), index, Severity.invalid, refused=True))
            future.set_exception(error)
            return future
        self.values[parameter.name, index] = kept
        self._tell(Update(parameter.name, kept, time.time(), index))
        if record.record_type == "busy" and kept:
            # Its work is nothing, so it is over.
            self.values[parameter.name, index] = type(kept)(0)
            self._tell(Update(parameter.name, type(kept)(0), time.time(), index))
        future.set_result(None)
        return future

    @staticmethod
    def _convert(record: Record, parameter: Parameter, value: Any) -> Any:
        if not record.is_array:
            return parameter.convert(value)
        array = np.ravel(value)
        if array.dtype.kind not in "iufb":
            raise ValueError(f"{record.name} = {value!r} are no numbers")
        return array[: record.count]

"""Records that clients connect to and nothing depends on: they keep what is written to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from xsp3ioc.records import Record
from xsp3ioc.stream.parameter import Index, Parameter, Severity, Update
from xsp3ioc.stream.putlog import note, said


class Plain:
    """Values of the plain records, where they are not the first ones; a write is checked like any other."""

    def __init__(self, tell: Callable[[Update], None], complain: Callable[[str], object]) -> None:
        """`tell` shows a change, `complain` a refusal in words."""
        self._tell = tell
        self._complain = complain
        self.values: dict[tuple[str, Index], Any] = {}
        """By name of the setpoint's parameter, and index."""
        self.on_change: Callable[[], object] = lambda: None

    def get(self, record: Record) -> Any:
        """Return what a record shows."""
        key = (record.parameter.name, record.index)
        if record.row is None or key in self.values:
            return self.values.get(key, record.parameter.default)
        return record.row.first_value(record.index)

    def put(self, record: Record, value: Any, who: str) -> Future[None]:
        """Keep a value; done at once, or refused with ValueError."""
        future: Future[None] = Future()
        parameter, old = record.parameter, self.get(record)
        try:
            kept = self._convert(record, parameter, value)
        except ValueError as error:
            refusal = ValueError(str(error).replace(parameter.label, parameter.label_of(record.index)))
            note(who, record.name, said(value, parameter), said(old, parameter), refusal)
            self._complain(str(refusal))
            self._tell(Update(parameter.name, old, time.time(), record.index, Severity.invalid, refused=True))
            future.set_exception(refusal)
            return future
        note(who, record.name, said(kept, parameter), said(old, parameter))
        self._keep(record, kept)
        if record.record_type == "busy" and kept:
            self._keep(record, 0)  # its work is nothing, so it is over
        future.set_result(None)
        return future

    def _keep(self, record: Record, value: Any) -> None:
        self.values[record.parameter.name, record.index] = value
        self._tell(Update(record.parameter.name, value, time.time(), record.index))
        self.on_change()

    @staticmethod
    def _convert(record: Record, parameter: Parameter, value: Any) -> Any:
        if not record.is_array:
            return parameter.convert(value)
        array = np.ravel(value)
        if array.dtype.kind not in "iufb":
            raise ValueError(f"{record.name} = {value!r} are no numbers")
        return array[: record.count]

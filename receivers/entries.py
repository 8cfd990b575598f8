"""Small datasets, and what is told about them: a file has hundreds, and h5py's own ways cost several times as much."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5s, h5t

TEXT = h5py.string_dtype()
_TEXT_TYPE = h5t.py_create(TEXT, logical=True)
_SCALAR = h5s.create(h5s.SCALAR)


def tell(dataset: h5py.Dataset, **attributes: str) -> None:
    """Set attributes that the dataset has not got yet; texts."""
    for name, text in attributes.items():
        h5a.create(dataset.id, name.encode(), _TEXT_TYPE, _SCALAR).write(np.array(text, TEXT))


def set_unit(dataset: h5py.Dataset, unit: str) -> None:
    """Say the unit; "" of a real number says that it has none."""
    if unit or dataset.dtype.kind == "f":
        tell(dataset, units=unit)


def put(group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
    """Make the dataset `name` of a number, a text, or an array of either (texts as dtype TEXT)."""
    array = np.array(value, TEXT) if isinstance(value, str) else np.asarray(value, order="C")
    space = h5s.create_simple(array.shape) if array.shape else _SCALAR
    dataset = h5d.create(group.id, name.encode(), h5t.py_create(array.dtype, logical=True), space)
    if array.size:
        dataset.write(h5s.ALL, h5s.ALL, array)
    return h5py.Dataset(dataset)

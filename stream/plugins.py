"""Which frames pass the plugins that clients know, and how many each of them has had."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.messages import Block, Header
from xsp3ioc.stream.plugin_parameters import PLUGINS
from xsp3ioc.stream.store import Store


def passing(values: Mapping[str, Any], plugin: str) -> NDArray[np.bool_]:
    """Return for which channels frames pass a plugin, and those before it: (channels,)."""
    passes = np.ones(values["channels"], bool)
    for one in (*PLUGINS[plugin].behind, plugin):
        passes &= values[f"{one}_enabled"]
    return passes


class PluginCounts:
    """An `Analysis` that counts frames."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts = np.zeros((len(PLUGINS), store.values["channels"]), np.int64)
        self._lock = threading.Lock()
        self.redefine()

    def redefine(self) -> None:
        """Hear that a plugin was switched on or off."""
        self._passing = np.array([passing(self._store.values, plugin) for plugin in PLUGINS], np.int64)

    def begin(self, header: Header) -> None:
        """Hear that a series begins: the counts go on."""

    def add(self, block: Block) -> None:
        """Count a block's frames."""
        with self._lock:
            self._counts += len(block) * self._passing

    def end(self, frames: int) -> None:
        """Hear that no more blocks come: frames that are missing have passed nowhere."""

    def erase(self, disabled: bool) -> None:
        """Count the frames of the sum anew."""
        if disabled or self._store.values["summing_enabled"]:
            self.count_from("summing", None, 0)
            self._store.update_changed({"summing_handed": 0})

    def show(self, block: Block, at: float, last: bool) -> None:
        """Show the counts."""
        with self._lock:
            counts = self._counts.tolist()
        self._store.update_changed(self._by_plugin("handed", counts), at)

    def count_from(self, plugin: str, channel: int | None, count: int) -> None:
        """Go on from another count."""
        row = self._counts[tuple(PLUGINS).index(plugin)]
        with self._lock:
            row[slice(None) if channel is None else channel] = count

    def rates(self, rate: float) -> dict[str, Any]:
        """Return the values of all parameters that show rates, if frames come at `rate` per second."""
        return self._by_plugin("rate", (rate * self._passing).tolist())

    @staticmethod
    def _by_plugin(what: str, rows: list[list[Any]]) -> dict[str, Any]:
        # The sum is one for all channels.
        return {
            f"{plugin}_{what}": row[0] if plugin == "summing" else row
            for plugin, row in zip(PLUGINS, rows, strict=True)
        }

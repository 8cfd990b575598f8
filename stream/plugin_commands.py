"""Switching off and on what frames pass on their way to the displays."""

from __future__ import annotations

from functools import partialmethod

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.parameter import place
from xsp3ioc.stream.plugin_parameters import SOURCES
from xsp3ioc.stream.plugins import PluginCounts
from xsp3ioc.stream.scaler_analysis import ScalerAnalysis


class PluginCommands(Commanded):
    """Puts to the records that every plugin has."""

    _plugins: PluginCounts
    _scalers: ScalerAnalysis

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        for plugin, source in SOURCES.items():
            name = f"{plugin}_source"
            per_channel = self.parameters[name].per_channel
            self.values[name] = [place(source, channel) for channel in range(channels)] if per_channel else source

    def _switch(self, plugin: str, value: bool, channel: int | None) -> None:
        with self._showing:
            self._scalers.settle()
            self.update(f"{plugin}_enabled", value, index=channel)
            self._plugins.redefine()

    def _count_from(self, plugin: str, value: int, channel: int | None) -> None:
        with self._showing:
            self._plugins.count_from(plugin, channel, value)
            self.update(f"{plugin}_handed", value, index=channel)

    def _choose_source(self, plugin: str, value: str, channel: int | None) -> None:
        name, source = f"{plugin}_source", place(SOURCES[plugin], channel)
        if value != source:
            raise ValueError(f"{self.parameters[name].label_of(channel)} = {value!r}: it is always {source}")
        self.update(name, value, index=channel)

    _put_cut_enabled = partialmethod(_switch, "cut")
    _put_spectrum_enabled = partialmethod(_switch, "spectrum")
    _put_roi_enabled = partialmethod(_switch, "roi")
    _put_summing_enabled = partialmethod(_switch, "summing")
    _put_sum_cut_enabled = partialmethod(_switch, "sum_cut")
    _put_sum_spectrum_enabled = partialmethod(_switch, "sum_spectrum")
    _put_scaler_enabled = partialmethod(_switch, "scaler")
    _put_scaler_series_enabled = partialmethod(_switch, "scaler_series")

    _put_cut_handed = partialmethod(_count_from, "cut")
    _put_spectrum_handed = partialmethod(_count_from, "spectrum")
    _put_roi_handed = partialmethod(_count_from, "roi")
    _put_summing_handed = partialmethod(_count_from, "summing")
    _put_sum_cut_handed = partialmethod(_count_from, "sum_cut")
    _put_sum_spectrum_handed = partialmethod(_count_from, "sum_spectrum")
    _put_scaler_handed = partialmethod(_count_from, "scaler")
    _put_scaler_series_handed = partialmethod(_count_from, "scaler_series")

    _put_cut_source = partialmethod(_choose_source, "cut")
    _put_spectrum_source = partialmethod(_choose_source, "spectrum")
    _put_roi_source = partialmethod(_choose_source, "roi")
    _put_summing_source = partialmethod(_choose_source, "summing")
    _put_sum_cut_source = partialmethod(_choose_source, "sum_cut")
    _put_sum_spectrum_source = partialmethod(_choose_source, "sum_spectrum")
    _put_scaler_source = partialmethod(_choose_source, "scaler")
    _put_scaler_series_source = partialmethod(_choose_source, "scaler_series")
    _put_file_source = partialmethod(_choose_source, "file")

"""Switching off and on what frames pass on their way to the displays."""

from __future__ import annotations

from functools import partialmethod

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.parameter import place
from xsp3ioc.stream.plugin_parameters import PLUGINS, SOURCES
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

    def switch(self, plugin: str, value: bool, channel: int | None) -> None:
        """Let frames pass a plugin, or not."""
        with self._showing:
            self._scalers.settle()
            self.update(f"{plugin}_enabled", value, index=channel)
            self._plugins.redefine()

    def count_from(self, plugin: str, value: int, channel: int | None) -> None:
        """Have a plugin count its frames from `value` on."""
        with self._showing:
            self._plugins.count_from(plugin, channel, value)
            self.update(f"{plugin}_handed", value, index=channel)

    def choose_source(self, plugin: str, value: str, channel: int | None) -> None:
        """Take the name of the port that a plugin's frames come from; ValueError for any other."""
        name, source = f"{plugin}_source", place(SOURCES[plugin], channel)
        if value != source:
            raise ValueError(f"{self.parameters[name].label_of(channel)} = {value!r}: it is always {source}")
        self.update(name, value, index=channel)


for _plugin in PLUGINS:
    setattr(PluginCommands, f"_put_{_plugin}_enabled", partialmethod(PluginCommands.switch, _plugin))
    setattr(PluginCommands, f"_put_{_plugin}_handed", partialmethod(PluginCommands.count_from, _plugin))
for _plugin in SOURCES:
    setattr(PluginCommands, f"_put_{_plugin}_source", partialmethod(PluginCommands.choose_source, _plugin))

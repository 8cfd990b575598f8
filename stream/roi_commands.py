"""What clients do with ROIs, and what they read of their time series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.channel_series import ChannelSeries
from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.parameter import Index, Severity
from xsp3ioc.stream.roi_analysis import RoiAnalysis
from xsp3ioc.stream.rois import STATISTICS
from xsp3ioc.stream.time_series import SHOWN

Roi = tuple[int, int]
"""Channel and ROI, from 0."""


def control(series: ChannelSeries, channel: int, value: int) -> None:
    """Do what `roi_parameters.CONTROLS` says with a channel's series."""
    match value:
        case 0:
            series.start(channel)
        case 1:
            series.start(channel, erase=False)
        case 2:
            series.stop(channel)
        case 3:
            series.publish(channel)
        case 4:
            series.erase(channel)


class RoiCommands(Commanded):
    """Commands of the records `MCA<channel>ROI:`."""

    _rois: RoiAnalysis

    def _put_roi_use(self, value: bool, index: Roi) -> None:
        self._define("roi_use", value, index)

    def _put_roi_min_x(self, value: int, index: Roi) -> None:
        self._define("roi_min_x", value, index)

    def _put_roi_size_x(self, value: int, index: Roi) -> None:
        self._define("roi_size_x", value, index)

    def _put_roi_background(self, value: int, index: Roi) -> None:
        self._define("roi_background", value, index)

    def _define(self, name: str, value: int, index: Roi) -> None:
        self.update(name, value, index=index)
        self.renew("roi_first", index)
        self.renew("roi_last", index)
        self._rois.redefine(index[0])

    def _get_roi_first(self, index: Roi) -> int:
        return self.values["roi_min_x"][index]

    def _get_roi_last(self, index: Roi) -> int:
        return max(0, self.values["roi_min_x"][index] + self.values["roi_size_x"][index] - 1)

    def _put_roi_first(self, value: int, index: Roi) -> None:
        size = self.values["roi_min_x"][index] + self.values["roi_size_x"][index] - value
        self._define("roi_min_x", value, index)
        self._define("roi_size_x", max(0, size), index)

    def _put_roi_last(self, value: int, index: Roi) -> None:
        self._define("roi_size_x", max(0, value + 1 - self.values["roi_min_x"][index]), index)

    def _put_roi_reset(self, value: bool, index: Roi) -> None:
        if value:
            with self._showing:
                self._rois.reset(index)
        self.update("roi_reset", value, index=index)

    def _put_roi_reset_all(self, value: bool, channel: int) -> None:
        if value:
            with self._showing:
                self._rois.reset(channel)
        self.update("roi_reset_all", value, index=channel)

    def _put_roi_series_control(self, value: int, channel: int) -> None:
        control(self._rois.series, channel, value)
        self.update("roi_series_control", value, index=channel)

    def _put_roi_series_read(self, value: int, channel: int) -> None:
        self._rois.series.publish(channel)
        self.update("roi_series_read", value, index=channel)

    def _put_roi_series_length(self, value: int, channel: int) -> None:
        # Clients ask for more than there can be and count on getting what there is: the record's drive limit.
        length = min(value, SHOWN)
        self._rois.series.set_length(channel, length)
        self.update("roi_series_length", length, index=channel)
        if length < value:
            label = self.parameters["roi_series_length"].label_of(channel)
            self.say(f"{label} = {value} is more than {SHOWN}: it is {SHOWN}", Severity.minor)

    def _get_roi_max_size_y(self, index: Index) -> int:
        return self.values["channels"]

    def _get_roi_series_times(self, index: Roi) -> NDArray[np.float64]:
        return self._rois.series.times(index[0])

    def _get_roi_series_total(self, index: Roi) -> NDArray[np.float64]:
        return self._roi_series("total", index)

    def _get_roi_series_net(self, index: Roi) -> NDArray[np.float64]:
        return self._roi_series("net", index)

    def _get_roi_series_min_value(self, index: Roi) -> NDArray[np.float64]:
        return self._roi_series("min_value", index)

    def _get_roi_series_max_value(self, index: Roi) -> NDArray[np.float64]:
        return self._roi_series("max_value", index)

    def _get_roi_series_mean_value(self, index: Roi) -> NDArray[np.float64]:
        return self._roi_series("mean_value", index)

    def _roi_series(self, name: str, index: Roi) -> NDArray[np.float64]:
        channel, slot = index
        return self._rois.series.values(channel, slot, STATISTICS.index(name))

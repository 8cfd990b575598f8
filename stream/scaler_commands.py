"""What clients do with scalers and their time series, and what they read of the series."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.roi_commands import control
from xsp3ioc.stream.scaler_analysis import ScalerAnalysis
from xsp3ioc.stream.time_series import SHOWN


class ScalerCommands(Commanded):
    """Commands of the records `C<channel>SCA:`."""

    _scalers: ScalerAnalysis

    def _put_scaler_reset(self, value: bool, channel: int) -> None:
        if value:
            with self._showing:
                self._scalers.reset(channel)
        self.update("scaler_reset", value, index=channel)

    def _put_scaler_series_acquire(self, value: bool, channel: int) -> Future[None] | None:
        self._scalers.settle()
        if value:
            return self._scalers.series.start(channel)
        self._scalers.series.stop(channel)
        self.update("scaler_series_acquire", False, index=channel)
        return None

    def _put_scaler_series_control(self, value: int, channel: int) -> None:
        self._scalers.settle()
        control(self._scalers.series, channel, value)
        self.update("scaler_series_control", value, index=channel)

    def _put_scaler_series_read(self, value: bool, channel: int) -> None:
        self._scalers.settle()
        self._scalers.series.publish(channel)
        self.update("scaler_series_read", value, index=channel)

    def _put_scaler_series_length(self, value: int, channel: int) -> None:
        self._scalers.settle()
        self._scalers.series.set_length(channel, value)
        self.update("scaler_series_length", value, index=channel)
        self.renew("scaler_series_axis", channel)

    def _put_scaler_series_circular(self, value: int, channel: int) -> None:
        self._scalers.settle()
        self._scalers.series.set_circular(channel, bool(value))
        self.update("scaler_series_circular", value, index=channel)

    def _put_scaler_series_point_link(self, value: float, channel: int) -> None:
        self._put_scaler_series_point_time(value, channel)
        self.update("scaler_series_point_link", value, index=channel)

    def _put_scaler_series_point_time(self, value: float, channel: int) -> None:
        self._average(self.values["scaler_series_averaging_time"][channel], value, channel)
        self.update("scaler_series_point_time", value, index=channel)

    def _put_scaler_series_averaging_time(self, value: float, channel: int) -> None:
        self._average(value, self.values["scaler_series_point_time"][channel], channel)

    def _average(self, seconds: float, point: float, channel: int) -> None:
        """Make a point of as many frames as `seconds` hold, if a frame takes `point` seconds."""
        frames = max(1, round(seconds / point))
        if frames > SHOWN:
            label = self.parameters["scaler_series_averaging_time"].label_of(channel)
            raise ValueError(f"{label} = {seconds:g} s are {frames} frames of {point:g} s; {SHOWN} at most")
        self._scalers.settle()
        self._scalers.series.set_average(channel, frames)
        self.update("scaler_series_average", frames, index=channel)
        self.update("scaler_series_averaging_time", frames * point, index=channel)
        self.renew("scaler_series_axis", channel)

    def _get_scaler_series(self, index: tuple[int, int]) -> NDArray[np.float64]:
        return self._scalers.series.values(*index)

    def _get_scaler_series_signal(self, index: tuple[int, int]) -> NDArray[np.float64]:
        return self._get_scaler_series(index)

    def _get_scaler_series_times(self, channel: int) -> NDArray[np.float64]:
        return self._scalers.series.times(channel)

    def _get_scaler_series_axis(self, channel: int) -> NDArray[np.float64]:
        points = min(self.values["scaler_series_length"][channel], SHOWN)
        return np.arange(points) * self.values["scaler_series_averaging_time"][channel]

"""What the monitor socket answers: the latest frame, the sums, the status, whatever it is asked for in a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xsp3ioc.stream.acquisition_commands import AcquisitionCommands
from xsp3ioc.stream.blocks import FRAME_DTYPE, SCALERS, Block
from xsp3ioc.stream.display import channel_rates
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.heading import frames_asked
from xsp3ioc.stream.messages import DEAD_TIME_MODELS, Header, encode
from xsp3ioc.stream.monitor_socket import Reply
from xsp3ioc.stream.rois import STATISTICS, named_rois, rois_of

LONGEST_REQUEST = 256
"""Bytes of a request that may be some viewer's own word for a frame."""
PER_CHANNEL = ("enabled", "event_width", "energy_offset", "energy_slope")
"""Settings of each channel that the status has too."""


class MonitorAnswers:
    """Called in the monitor socket's thread with a request; returns the parts of the answer, JSON first.

    A frame and all that is told of it are of the same block, which nobody changes any more.
    """

    def __init__(self, core: AcquisitionCommands) -> None:
        self._core = core
        self.of_faces: dict[str, Callable[[], Reply]] = {}
        """Answers to words that only a face knows about."""
        self._answers: dict[str, Callable[[], Reply]] = {
            "status": self._status,
            "header": self._header,
            "sum": self._sum,
            "roi": self._roi,
            "scalers": self._scalers,
        }

    def __call__(self, request: bytes) -> Reply:
        """Answer one of the words; any other text gets the latest frame, as the viewers that exist expect.

        ValueError says what is allowed: the request is no text, or it is a word of ours with something wrong behind it.
        """
        if len(request) > LONGEST_REQUEST:
            raise ValueError(f"a request of {len(request)} bytes: it is a word; {self._allowed}")
        try:
            text = request.decode().strip(" \t\r\n\0")  # C programs may send the final zero
        except UnicodeDecodeError:
            text = "\0"
        if not text.isprintable():
            raise ValueError(f"the request {request[:32]!r} is no text; {self._allowed}")
        word, _, rest = text.lower().partition(" ")
        if word == "channel":
            return self._channel(rest.strip())
        answer = self.of_faces.get(word) or self._answers.get(word)
        if answer is None:
            return self._image()
        if rest:
            raise ValueError(f"{word!r} has nothing behind it, not {rest[:32]!r}; {self._allowed}")
        return answer()

    @property
    def _allowed(self) -> str:
        return (
            f"allowed are {', '.join(self._answers)}, channel 1 to channel {self._core.values['channels']}, "
            "and any other short text for the latest frame"
        )

    # the latest frame

    def _latest(self) -> tuple[Header | None, Block]:
        """Return the block read last and the header of its series; before the first one a frame of zeros."""
        if self._core.latest_frame is not None:
            header, block, _ = self._core.latest_frame
            return header, block
        channels, bins = self._core.values["channels"], self._core.values["size_x"]
        return None, Block(
            0,
            0,
            np.zeros((1, channels, bins), np.uint32),
            np.zeros((1, channels, SCALERS), np.uint32),
            np.ones((1, channels)),
            np.zeros(1, FRAME_DTYPE),
        )

    def _head(self, htype: str, header: Header | None, block: Block) -> dict[str, Any]:
        """Say what frame it is; `series_id` is 0 before the first one, whose zeros nobody has measured."""
        frame = block.frames[-1]
        return {
            "htype": htype,
            "exptime": self._exposure(header),
            "frame": block.end - 1,
            "series_id": block.series_id,
            "time": float(frame["time"]),
            "frame_status": int(frame["status"]),
        }

    def _exposure(self, header: Header | None) -> float:
        parameters = self._core.values if header is None else header.parameters
        return float(parameters["exposure_time"])

    def _image(self) -> Reply:
        header, block = self._latest()
        spectra = block.mca[-1]
        # Copies: who asks and does not read must not keep the pool's memory.
        return [
            encode(self._head("image", header, block) | {"type": "uint32", "shape": spectra.shape}), spectra.tobytes()
        ]  # fmt: skip

    def _channel(self, number: str) -> Reply:
        channels = self._core.values["channels"]
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= channels):
            raise ValueError(f"channel {number[:32]!r}: channels are 1 to {channels}, e.g. 'channel 1'")
        header, block = self._latest()
        spectrum = block.mca[-1, int(number) - 1]
        more = {"channel": int(number), "type": "uint32", "shape": spectrum.shape}
        return [encode(self._head("channel", header, block) | more), spectrum.tobytes()]

    def _scalers(self) -> Reply:
        header, block = self._latest()
        scalers = block.scalers[-1]
        event_widths = list(self._core.values["event_width"]) if header is None else header.event_widths
        clock_period = self._core.clock_period if header is None else header.clock_period
        model = DEAD_TIME_MODELS[0] if header is None else header.dead_time_model
        more = {
            "type": "uint32",
            "shape": scalers.shape,
            "names": [scaler.name for scaler in Scaler],
            "clock_period": clock_period,
            "event_widths": event_widths,
            "dead_time_model": model,
            "factors": block.factors[-1].tolist(),
        }
        rates = channel_rates(scalers, block.factors[-1], event_widths, clock_period, model)
        return [encode(self._head("scalers", header, block) | more | rates), scalers.tobytes()]

    def _roi(self) -> Reply:
        header, block = self._latest()
        values = self._core.values
        rois: list[tuple[int, str, int, int]] = []
        found = [np.empty((0, len(STATISTICS)))]
        for channel in range(values["channels"]):
            rois += [(channel + 1, *roi) for roi in named_rois(values, channel)]
            found.append(rois_of(values, channel).statistics(block.mca[-1, channel]))
        statistics = np.concatenate(found)
        more = {"rois": rois, "columns": STATISTICS, "type": "float64", "shape": statistics.shape}
        return [encode(self._head("roi", header, block) | more), statistics]

    # the rest

    def _sum(self) -> Reply:
        total, frames, until = self._core.sum.counted()
        head = {"htype": "sum", "frames": frames, "time": until, "type": "uint64", "shape": total.shape}
        return [encode(head), total]

    def _header(self) -> Reply:
        series = self._core.series
        if series is None:
            raise ValueError("no series is running; status says with what the next one would begin")
        return [encode(series.header)]

    def _status(self) -> Reply:
        core, series = self._core, self._core.series
        values = core.values
        if series is not None:
            values = values | series.header.parameters  # what it runs with; a put meanwhile is for the next one
        status = {name: value for name, value in values.items() if not isinstance(value, np.ndarray | list)}
        own = {
            "htype": "status",
            "state": core.state.value,
            "simulated": core.simulated,
            "series_id": series.id if series is not None else 0,
            "frames_asked": series.header.frames if series is not None else frames_asked(values),
            "clock_period": core.clock_period,
        }
        return [encode(status | {name: list(values[name]) for name in PER_CHANNEL} | own)]

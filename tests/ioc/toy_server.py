"""A server for the tests: the Channel Access face on a core that is as small as it can be."""

from __future__ import annotations

import argparse
import asyncio
import queue
import signal
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

import numpy as np

from xsp3ioc.ioc import serve
from xsp3ioc.stream.parameter import Parameter, Severity, Update, parameters

MODES = ("Single", "Multiple", "Continuous")


class Toy:
    """Takes puts in order in a thread of its own; `acquire` lasts `duration`; `flicker` toggles n times, quickly."""

    exposure_time = Parameter(0.25, "Counting time", pv="AcquireTime", unit="s", low=1e-6, high=53.0, precision=3)
    dwell = Parameter(0.25, "The same, of no client", pv="Dwell", unit="s", low=1e-6, high=53.0, precision=3)
    frames = Parameter(16, "Frames per series", pv="NumImages", low=1)
    image_mode = Parameter(1, "Mode", pv="ImageMode", choices=MODES)
    erase_on_start = Parameter(True, "Erase first", pv="EraseOnStart", choices=("No", "Yes"), readback=False)
    acquire = Parameter(
        False, "Start or stop", pv="Acquire", choices=("Done", "Acquire"), readback_choices=("Done", "Acquiring"),
        command=True,
    )  # fmt: skip
    flicker = Parameter(0, "Toggle acquire n times", pv="Flicker", readback=False, command=True)
    file_path = Parameter("", "Directory", pv="/HDF1:FilePath", length=256)
    label = Parameter("toy", "A short text", pv="Label")
    threshold = Parameter(0, "Threshold", pv="C{chan}_SCA4_THRESHOLD", low=0, high=4095, per_channel=True)
    factor = Parameter(1.0, "Factor", pv="/C{chan}:DTFactor_RBV", precision=5, writable=False, per_channel=True)
    mca = Parameter(np.zeros(0), "Spectrum", pv="/MCA{chan}:ArrayData", length=4096, writable=False, per_channel=True)
    counter = Parameter(0, "Counts", pv="Counter", aliases=("Counter_RBV", "/Old:Counter"), writable=False)
    state = Parameter(
        2, "State", pv="ToyState_RBV", choices=("Idle", "Acquire", "Disconnected"), writable=False,
        severity={2: Severity.invalid},
    )  # fmt: skip
    message = Parameter("hello", "Message", pv="StatusMessage_RBV", length=256, writable=False)
    spectra = Parameter(0, "Post n spectra on channel 0", pv="Spectra", readback=False, command=True)
    crash = Parameter(0, "Raise something unforeseen", pv="Crash", readback=False, command=True)
    hidden = Parameter(0, "Not served")

    def __init__(self, channels: int):
        self.channels = channels
        self.parameters = parameters(type(self))
        self.values = {
            name: [p.default] * channels if p.per_channel else p.default for name, p in self.parameters.items()
        }
        self._callbacks: list = []
        self._commands: queue.Queue = queue.Queue()
        self._stop = threading.Event()
        self._running: threading.Thread | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def subscribe(self, callback):
        self._callbacks.append(callback)

    def put(self, name, value, channel=None, who="") -> Future:
        future: Future = Future()
        self._commands.put((name, value, channel, who, future))
        return future

    def get(self, name, index=None):
        value = self.values[name]
        return value if index is None else value[index]

    def say(self, text, severity):
        self.update("message", text)

    def update(self, name, value, channel=None, **more):
        if channel is None:
            self.values[name] = value
        else:
            self.values[name][channel] = value
        self._tell(Update(name, value, time.time(), channel, **more))

    def _tell(self, update):
        for callback in self._callbacks:
            callback(update)

    def _run(self):
        while True:
            name, value, channel, who, future = self._commands.get()
            try:
                value = self.parameters[name].convert(value)
                if not getattr(self, f"_do_{name}", self._set)(name, value, channel, future):
                    future.set_result(None)
            except Exception as problem:
                old = self.values[name] if channel is None else self.values[name][channel]
                self._tell(Update(name, old, time.time(), channel, refused=True))
                self.update("message", f"{problem} ({who})")
                future.set_exception(problem)

    def _set(self, name, value, channel, future):
        self.update(name, value, channel)

    def _do_acquire(self, name, value, channel, future) -> Any:
        if not value:
            self._stop.set()
            return False
        if self.values["acquire"]:
            raise RuntimeError("Acquire = 1: already acquiring")
        self._stop.clear()
        self.update("acquire", True)

        def run():
            self._stop.wait(self.values["exposure_time"])
            self.update("counter", self.values["counter"] + 1)
            self.update("acquire", False)
            future.set_result(None)

        threading.Thread(target=run, daemon=True).start()
        return True

    def _do_flicker(self, name, value, channel, future):
        for number in range(value):
            self.update("acquire", True)
            self.update("counter", number + 1)
            self.update("acquire", False)

    def _do_spectra(self, name, value, channel, future):
        for number in range(value):
            # Another array each time, as from the core: they are shown later, in another thread.
            self.update("mca", np.full((self.channels, 4096), number + 1.0))
            if number % 10 == 9:
                time.sleep(0.001)

    def _do_crash(self, name, value, channel, future):
        raise KeyError("unforeseen")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--channels", type=int, default=2)
    arguments = parser.parse_args()

    async def run():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await serve(
            Toy(arguments.channels), prefix=arguments.prefix, listen=arguments.listen, port=arguments.port,
            started=lambda address: print(address.tcp_port, address.search_port, flush=True), stop=stop,
        )  # fmt: skip

    asyncio.run(run())


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    main()

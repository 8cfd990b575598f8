"""What contrast, the client of Xspress3DS at NanoMAX, does to it, call by call; run in a `Desk`."""

from __future__ import annotations

import time

PATIENCE = 60
"""Seconds after which contrast would be waiting for ever."""


class ContrastDetector:
    """Its detector: prepared for a scan, armed, started and read at each step."""

    def __init__(self, name: str):
        import tango

        self._proxy = tango.DeviceProxy(name)
        self._proxy.set_timeout_millis(1000 * PATIENCE)
        self._burst, self._expected, self._hardware = 1, 0, 0

    def prepare(self, acqtime: float, filename: str, starts: int, burst: int = 1, hw_trig_n: int = 0) -> None:
        """Before a scan of `starts` steps; `hw_trig_n` hardware triggers per step, 0: software."""
        proxy = self._proxy
        if self.busy():
            raise RuntimeError("busy")
        self._burst, self._hardware, self._expected = burst, hw_trig_n, 0
        proxy.DestinationFileName = filename
        proxy.ExposureTime = acqtime
        proxy.nFramesPerTrigger = burst
        proxy.LatencyTime = 100e-9
        proxy.TriggerMode = "EXTERNAL_MULTI" if hw_trig_n else "SOFTWARE"
        if burst == 1:
            proxy.nTriggers = starts * (hw_trig_n or 1)
            proxy.Arm()
        else:
            proxy.nTriggers = hw_trig_n or 1

    def arm(self) -> None:
        if self._burst > 1:
            self._proxy.Arm()
            self._expected = self._burst * (self._hardware or 1)
        else:
            self._expected += self._hardware or 1

    def start(self) -> None:
        if not self._hardware:
            self._proxy.SoftwareTrigger()

    def busy(self) -> bool:
        import tango

        state = self._proxy.State()
        if state == tango.DevState.STANDBY:
            return False
        return not (state == tango.DevState.RUNNING and self._proxy.nFramesAcquired == self._expected > 0)

    def wait(self) -> str:
        """Until it is not busy; the state then."""
        deadline = time.monotonic() + PATIENCE
        while self.busy():
            assert time.monotonic() < deadline, f"busy: {self._proxy.nFramesAcquired} of {self._expected} frames"
            time.sleep(0.005)
        return str(self._proxy.State())

    def step(self) -> tuple[str, int]:
        """One step of a scan: state and frames when it is done."""
        self.arm()
        self.start()
        return self.wait(), self._proxy.nFramesAcquired

    def set(self, **values) -> None:
        for name, value in values.items():
            self._proxy.write_attribute(name, value)

    def get(self, *names):
        return [self._proxy.read_attribute(name).value for name in names]

    def run(self, command: str) -> str:
        """Empty, or why not."""
        import tango

        try:
            self._proxy.command_inout(command)
        except tango.DevFailed as refused:
            return refused.args[0].desc
        return ""

    def stop(self) -> str:
        """Stop; the state afterwards, when the file is closed: where that takes long, a stop says so first."""
        import tango

        try:
            self._proxy.Stop()
        except tango.DevFailed as refused:
            assert refused.args[0].desc.startswith("Stop waits for the file writer"), refused
            deadline = time.monotonic() + PATIENCE
            while self._proxy.State() == tango.DevState.RUNNING:
                assert time.monotonic() < deadline, "the file is not closed"
                time.sleep(0.01)
        return str(self._proxy.State())

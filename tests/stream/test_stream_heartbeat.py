"""A system is lost when it has not answered twice, not when one sensor could not be read."""

import pytest

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Faults, Xspress3, Xspress3Error
from xsp3ioc.sdk.emulator.faults import Failure
from xsp3ioc.stream.heartbeat import Heartbeat


def handle(call, times):
    failures = {"xsp3_i2c_read_adc_temp": Failure(call=call, times=times)}
    return Xspress3.configure(EmulatedLibrary(EmulatorSettings(faults=Faults(fail=failures))))


def test_what_it_answers():
    with handle(call=99, times=1) as sdk:
        beat = Heartbeat().listen(sdk)
        assert beat.revision == sdk.revision
        assert beat.temperature == max(sdk.temperatures())


def test_one_missed_beat_is_forgiven():
    heartbeat = Heartbeat()
    with handle(call=2, times=1) as sdk:
        assert heartbeat.listen(sdk) is not None
        assert heartbeat.listen(sdk) is None
        assert heartbeat.listen(sdk) is not None


def test_two_are_not():
    heartbeat = Heartbeat()
    with handle(call=1, times=2) as sdk:
        assert heartbeat.listen(sdk) is None
        with pytest.raises(Xspress3Error, match="xsp3_i2c_read_adc_temp"):
            heartbeat.listen(sdk)
        assert heartbeat.listen(sdk) is not None

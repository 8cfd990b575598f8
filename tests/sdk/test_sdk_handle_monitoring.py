"""What the handle makes of temperatures, voltages, fans, playback and scope: units, sizes, arguments."""

import numpy as np
import pytest
from sdk_recorder import Recorder

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, OutOfRange, Region, TriggerB, Xadc, Xspress3, Xspress3Error
from xsp3ioc.sdk.cdef import ffi


def connect(product="xspress3", cards=1, channels=2, **answers):
    library = Recorder(EmulatedLibrary(EmulatorSettings(product=product, cards=cards, channels=channels)), **answers)
    return Xspress3.configure(library, cards=cards, frames=64), library


def sensors(*values):
    def answer(path, *arguments):
        for index, value in enumerate(values):
            arguments[-1][index] = value + (arguments[0] if len(arguments) > 1 else 0)
        return 0

    return answer


@pytest.mark.parametrize(
    "product, fem, mid_plane",
    [("xspress3", ((40.0, 50.0), (41.0, 51.0)), ()), ("mini", (), ()), ("xspress4", (), (20.0, 21.0, 22.0))],
)
def test_each_product_has_its_sensors(product, fem, mid_plane):
    handle, _ = connect(
        product, 2,
        xsp3_i2c_read_adc_temp=sensors(30.0, 30.5), xsp3_i2c_read_fem_temp=sensors(40.0, 50.0),
        xsp3_i2c_read_mid_plane_temp=sensors(20.0, 21.0, 22.0),
    )  # fmt: skip
    assert handle.board_temperatures() == (((30.0, 30.5), (31.0, 31.5)), fem, mid_plane)
    assert handle.temperatures() == [30.0, 30.5, 31.0, 31.5]


def test_monitors_are_in_degrees_and_volts():
    def answer(path, card, first, number, data):
        for index in range(number):
            data[index] = 1000 * index + 500
        return 0

    handle, library = connect(xsp3_read_xadc=answer)
    found = handle.monitors()
    assert library.last("xsp3_read_xadc")[:3] == (0, 0, 11)
    assert found[Xadc.zynq_temperature] == 0.5 and found[Xadc.virtex7_vcc_bram] == 10.5 and len(found) == 11


def test_fans_are_words():
    stored = {}

    def write(path, card, offset, size, value):
        stored.update((offset + index, value[index]) for index in range(size))
        return 0

    def read(path, card, offset, size, value):
        for index in range(size):
            value[index] = stored[offset + index]
        return 0

    handle, _ = connect(xsp3_write_fan_cont=write, xsp3_read_fan_cont=read)
    handle.write_fan(7, [80, 3])
    found = handle.read_fan(7, 2)
    assert found.dtype == np.uint32 and found.tolist() == [80, 3]


def test_playback_takes_a_table_of_sixteen(tmp_path):
    seen = []

    def load(path, card, name, sources, *options):
        seen.append((card, ffi.string(name), list(sources[0:16]), options))
        return 5

    handle, _ = connect(xsp3_playback_load_x3=load, xsp3_write_playback_data=lambda *_: 3)
    assert handle.load_playback(tmp_path / "data", [1, 0], streams=2, smooth_join=True, retry=False) == 5
    assert seen == [(0, str(tmp_path / "data").encode(), [1] + [0] * 15, (2, 0, 1, 0, 1, 0, 0))]
    with pytest.raises(ValueError, match="17 sources are more than 16"):
        handle.load_playback("data", [0] * 17)


def test_a_scope_without_data():
    handle, _ = connect(xsp3_read_scope_data=lambda *_: 0)
    with pytest.raises(Xspress3Error, match="the scope has no data"):
        handle.read_scope()
    handle, _ = connect(xsp3_read_scope_data=lambda *_: 7)
    assert handle.read_scope() == 7


def test_trigger_b_is_the_librarys_structure():
    assert list(TriggerB._fields) == [name for name, _ in ffi.typeof("Xspress3_TriggerB").fields]
    stored = {}

    def put(path, channel, settings):
        stored[channel] = [getattr(settings, name) for name in TriggerB._fields]
        return 0

    handle, _ = connect(xsp3_set_trigger_b=put)
    wanted = TriggerB(*range(100, 127))
    handle.set_trigger_b(1, wanted)
    assert stored == {1: list(range(100, 127))}
    handle.set_trigger_b(-1, handle.trigger_b(0)._replace(event_time=9))
    assert [values[13] for values in stored.values()] == [9, 9]
    assert wanted.event_width == 110 and wanted._replace(enb_variable_width=0).event_width == 113


def test_regions_are_set_channel_by_channel():
    seen = []

    def put(path, channel, number, regions):
        seen.append((channel, [(region.lhs, region.rhs, region.out_bins) for region in regions[0:number]]))
        return 150

    handle, _ = connect(xsp3_set_roi=put)
    regions = [Region(100, 199, 100), Region(500, 599, 50)]
    assert handle.set_regions(-1, regions) == 150
    assert seen == [(0, [tuple(region) for region in regions]), (1, [tuple(region) for region in regions])]


def test_numbers_that_connecting_cannot_take():
    _, library = connect()
    with pytest.raises(OutOfRange, match="xsp3_config: "):
        Xspress3.configure(library, frames=1 << 40)

"""How the products differ: identity, sizes, acknowledging, what an overrun does."""

import numpy as np
import pytest
from sdk_bench import STRAIGHT, connect, internal, read, same, status

from xsp3ioc.sdk import ErrorFlag, Generation, Xspress3Error, expected_frames
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.settings import PRODUCTS, EmulatorSettings

EXPOSURE = 1000
OVERWRITING = [("xspress3", 8, 2, 12.5e-9), ("xspress4", 20, 2, 10e-9)]
STOPPING = [("mini", 4, 2, 12.5e-9), ("x3x2", 8, 4, 12.5e-9)]
ALL = OVERWRITING + STOPPING
every_product = pytest.mark.parametrize("product, channels, cards, tick", ALL)


def running(product, channels, cards, frames=8, **settings):
    handle, emulator, clock = connect(frames=frames, product=product, channels=channels, cards=cards, **settings)
    internal(handle, 0, EXPOSURE)
    handle.start()
    return handle, emulator, clock


def pass_frames(clock, count, tick):
    clock.sleep(count * (EXPOSURE + 80) * tick)


@pytest.mark.parametrize(
    "product, channels, generation, major, tick, mark2, sensors, model",
    [
        ("xspress3", 9, Generation.xspress3, range(0, 16), 12.5e-9, False, 4, "Xspress3"),
        ("mini", 2, Generation.mini, range(32, 48), 12.5e-9, False, 4, "Xspress3 Mini"),
        ("xspress4", 16, Generation.xspress4, range(48, 64), 10e-9, False, 5, "Xspress4"),
        ("x3x2", 2, Generation.mini, range(32, 48), 12.5e-9, True, 4, "Xspress3X Mk2"),
    ],
)
def test_identity(product, channels, generation, major, tick, mark2, sensors, model):
    handle, emulator, _ = connect(product=product, channels=channels)
    assert (handle.generation, handle.is_mark2, handle.model) == (generation, mark2, model)
    assert (handle.revision >> 12 & 0xFFF) in major
    assert handle.clock_period() == tick
    assert len(handle.temperatures()) == sensors
    clock = emulator.xsp3_clocks_setup(
        0, 0, {"xspress3": 1, "mini": 0x10, "xspress4": 0x11, "x3x2": 0x21}[product], 3, 0
    )
    assert clock == (0 if product == "xspress3" else round(1 / tick))
    with pytest.raises(ValueError, match=f"channels = {channels + 1} is outside 1..{channels}"):
        EmulatorSettings(product=product, channels=channels + 1)
    assert EmulatorSettings(product=product, channels=16 * channels, cards=16).channels_per_card == channels


@every_product
def test_progress_before_the_first_start(product, channels, cards, tick):
    handle, _, _ = connect(product=product, channels=channels, cards=cards)
    if PRODUCTS[product].compulsory_acknowledge:
        with pytest.raises(Xspress3Error, match="before the first"):
            handle.progress()
    else:
        assert handle.progress() == (0, 0, 0)
    internal(handle, 1, EXPOSURE)
    handle.arm()
    assert handle.progress() == (0, 0, 0)


@every_product
def test_a_ring_that_is_acknowledged_goes_round(product, channels, cards, tick):
    handle, emulator, clock = running(product, channels, cards)
    for first in range(0, 32, 4):
        pass_frames(clock, 4, tick)
        assert handle.progress().frames == first + 4
        mca, scalers = read(handle, first, 4)
        expected = expected_frames(emulator.settings, EXPOSURE, first, 4)
        on_first_card = slice(0, channels // cards)  # the ticks of the others may differ by one or two
        assert np.array_equal(mca[:, on_first_card], expected[0][:, on_first_card])
        assert (np.abs(scalers[..., [0, 8]].astype(int) - EXPOSURE) <= 2).all()
        handle.acknowledge(first, 4)
    assert handle.progress().flags == 0 and handle.overrun() == (0, -1)


@pytest.mark.parametrize("product, channels, cards, tick", OVERWRITING)
def test_what_is_not_acknowledged_is_overwritten(product, channels, cards, tick):
    handle, _, clock = running(product, channels, cards)
    pass_frames(clock, 20, tick)
    progress = handle.progress()
    assert progress.frames == 20 and progress.flags == ErrorFlag.circular_overrun and handle.busy
    count, first = handle.overrun()
    assert first == 0 and count in (12, 13)
    assert status(handle, 0, 8, channels - 1)["time_frame"].min() >= 12


@pytest.mark.parametrize("product, channels, cards, tick", OVERWRITING)
def test_any_channels_are_acknowledged_and_as_often_as_one_likes(product, channels, cards, tick):
    handle, emulator, clock = running(product, channels, cards)
    pass_frames(clock, 4, tick)
    for _ in range(2):
        assert emulator.xsp3_histogram_circ_ack(0, 1, 0, 2, 3) == 0
    states = [status(handle, 0, 3, channel)["state"].tolist() for channel in range(4)]
    assert states == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]


@pytest.mark.parametrize("product, channels, cards, tick", STOPPING)
def test_what_is_not_acknowledged_stops_the_run(product, channels, cards, tick):
    handle, emulator, clock = running(product, channels, cards)
    pass_frames(clock, 8, tick)
    clock.sleep(1)
    assert handle.progress() == (8, 8, ErrorFlag.histogram_overrun)
    assert handle.overrun() == (1, 0) and not handle.busy
    card0 = slice(0, channels // cards)
    expected = expected_frames(emulator.settings, EXPOSURE, 0, 8)[0]
    assert np.array_equal(read(handle, 0, 8)[0][:, card0], expected[:, card0])
    handle.acknowledge(0, 8)
    clock.sleep(1)
    assert handle.progress() == (8, 8, ErrorFlag.histogram_overrun)  # it does not go on by itself
    handle.start()
    pass_frames(clock, 3, tick)
    assert handle.progress() == (3, 3, 0) and handle.overrun() == (0, -1)


@pytest.mark.parametrize("product, channels, cards, tick", STOPPING)
def test_one_channel_is_acknowledged_for_its_whole_card(product, channels, cards, tick):
    handle, emulator, clock = running(product, channels, cards)
    pass_frames(clock, 4, tick)
    assert emulator.xsp3_histogram_circ_ack(0, 3, 0, 1, 2) == 0
    states = [status(handle, 0, 4, channel)["state"].tolist() for channel in range(channels)]
    assert states == [[0, 0, 1, 1] if channel in (2, 3) else [1] * 4 for channel in range(channels)]
    for channel in (2, 3):
        assert emulator.xsp3_histogram_circ_ack(0, channel, 0, 1, 1) < 0
        assert b"already acknowledged" in ffi.string(emulator.xsp3_get_error_message())
    # Channels 1 and 2 are on two cards; one of them was acknowledged before, so neither is now.
    assert emulator.xsp3_histogram_circ_ack(0, 1, 1, 2, 1) < 0
    assert status(handle, 0, 4, 0)["state"].tolist() == [1] * 4
    assert emulator.xsp3_histogram_circ_ack(0, 1, 0, 1, 4) == 0
    assert status(handle, 0, 4, 0)["state"].tolist() == [0] * 4


def test_a_card_that_is_not_acknowledged_has_the_overrun():
    handle, emulator, clock = running("x3x2", 8, 4)
    pass_frames(clock, 8, 12.5e-9 / 2)
    for card in (0, 1, 3):
        assert emulator.xsp3_histogram_circ_ack(0, 2 * card, 0, 2, 2) == 0
    clock.sleep(1)
    assert handle.progress() == (8, 8, ErrorFlag.histogram_overrun)
    assert [emulator.xsp3_histogram_get_circ_overrun(0, channel, ffi.NULL) for channel in range(8)] == [
        0, 0, 0, 0, 1, 1, 0, 0,
    ]  # fmt: skip
    assert handle.overrun() == (1, 0)


@every_product
@pytest.mark.parametrize("odd", [(0xFFFFFFFF, 1), (0xFFFFFFFF, 0xFFFFFFFF), (0, 0xFFFFFFFF), (123_456_789, 3), (0, 0)])
def test_odd_acknowledgements(product, channels, cards, tick, odd):
    handle, emulator, clock = running(product, channels, cards)
    pass_frames(clock, 3, tick)
    answer = emulator.xsp3_histogram_circ_ack(0, 0, odd[0], channels, odd[1])
    if not PRODUCTS[product].compulsory_acknowledge or odd[1] == 0:
        assert answer == 0
    else:
        assert answer == -1 and status(handle, 0, 3)["state"].tolist() == [1] * 3  # nothing of it was done
    pass_frames(clock, 2, tick)
    assert handle.progress().frames == 5
    for wild in ((channels, 1), (0, channels + 1), (0xFFFFFFFF, 1), (0, 0xFFFFFFFF)):
        assert emulator.xsp3_histogram_circ_ack(0, wild[0], 0, wild[1], 1) < 0


@every_product
def test_without_the_circular_flag_the_memory_fills(product, channels, cards, tick):
    handle, emulator, clock = connect(frames=8, flags=STRAIGHT, product=product, channels=channels, cards=cards)
    internal(handle, 100, EXPOSURE)
    handle.start()
    clock.sleep(1)
    assert handle.progress() == (8, 8, 0) and handle.overrun() == (0, -1)
    numbers = status(handle, 0, 8)["time_frame"]
    assert numbers.tolist() == list(range(8))
    handle.stop()
    assert handle.progress().frames == 8


@pytest.mark.parametrize("product", sorted(PRODUCTS))
def test_the_same_sample_on_every_product(product):
    handle, emulator, _ = connect(product=product, channels=2, pace="reader")
    internal(handle, 8, 100_000)
    handle.start()
    assert same(read(handle, 0, 8), expected_frames(emulator.settings, 100_000, 0, 8))


def test_a_refused_acknowledgement_across_the_wrap_does_nothing():
    handle, emulator, clock = running("mini", 2, 1)
    for number in range(6):
        pass_frames(clock, 1, 12.5e-9)
        handle.acknowledge(number, 1)
    pass_frames(clock, 4, 12.5e-9)
    handle.acknowledge(8, 1)  # frames 6, 7 are in the last slots, 8, 9 in the first ones
    with pytest.raises(Xspress3Error, match="already acknowledged"):
        handle.acknowledge(6, 3)
    assert [status(handle, number, 1)["state"][0] for number in range(6, 10)] == [1, 1, 0, 1]

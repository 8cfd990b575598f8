"""Connecting: what clients pass, what cannot be, connecting again and without initialising."""

import pytest
from sdk_bench import Clock, internal, read

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Scaler, Xspress3
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.faults import CardLost, Faults, Overheat, Picked

INVALID_PATH = -2


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


CONFIG = {
    "ncards": 1, "num_tf": 64, "ip": None, "port": -1, "mac": None, "nchan": -1, "module": 1, "name": None,
    "debug": 0, "index": 0,
}  # fmt: skip


def config(emulator, init=(), **changes):
    values = [ffi.NULL if value is None else value for value in (CONFIG | changes).values()]
    values = [ffi.new("char[]", value.encode()) if isinstance(value, str) else value for value in values]
    return emulator.xsp3_config_init(*values, *init) if init else emulator.xsp3_config(*values)


@pytest.fixture
def emulator():
    return EmulatedLibrary(EmulatorSettings(channels=6, cards=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"ip": ""},
        {"ip": "192.168.0.1"},
        {"mac": ""},
        {"mac": "02.00.00.00.00.00"},
        {"mac": "02:00:0A:00:00:fF"},
        {"mac": "00:00:00:00:00:00"},
        {"name": ""},
        {"name": "xsp3"},
        {"nchan": 3},
        {"nchan": 1},
        {"ncards": 2, "nchan": 6},
        {"ncards": 2},
        {"num_tf": 1},
        {"num_tf": 1 << 20},
        {"port": 30123},
        {"module": -1, "debug": -1, "index": -1},
        {"debug": 2},
        {"index": 1},
    ],
)
def test_what_clients_pass_is_accepted(emulator, changes):
    assert config(emulator, **changes) == 0
    assert emulator.xsp3_get_num_cards(0) == changes.get("ncards", 1)
    wanted = changes.get("nchan", 3 * changes.get("ncards", 1))
    assert emulator.xsp3_get_num_chan(0) == wanted


@pytest.mark.parametrize(
    "changes, status, why",
    [
        ({"ncards": 0}, -6, "ncards = 0 is outside 1..16"),
        ({"ncards": 17}, -6, "ncards = 17"),
        ({"ncards": 3}, -9, "card 2 does not answer"),
        ({"index": 2}, -9, "card 2 does not answer"),
        ({"ncards": 2, "index": 1}, -9, "card 2 does not answer"),
        ({"num_tf": 0}, -6, "num_tf = 0"),
        ({"num_tf": (1 << 20) + 1}, -6, "num_tf"),
        ({"ip": "192.168.0"}, -6, "baseIPaddress = '192.168.0' is no dotted quad"),
        ({"ip": "192.168.0.256"}, -6, "baseIPaddress"),
        ({"ip": "detector.example"}, -6, "baseIPaddress"),
        ({"ip": "::1"}, -6, "baseIPaddress"),
        ({"mac": "02.00.00.00.00"}, -6, "baseMACaddress = '02.00.00.00.00' is not six bytes"),
        ({"mac": "02.00.00.00.00.xy"}, -6, "baseMACaddress"),
        ({"mac": "02.00.00.00.00.00.00"}, -6, "baseMACaddress"),
        ({"port": 0}, -6, "basePort = 0"),
        ({"port": 65536}, -6, "basePort"),
        ({"port": -2}, -6, "basePort"),
        ({"nchan": 0}, -6, "nchan = 0 is outside 1.."),
        ({"nchan": 4}, -6, "nchan = 4 is outside 1..3"),
        ({"nchan": -2}, -6, "nchan"),
        ({"nchan": 10}, -6, "nchan = 10 is outside 1..9"),
        ({"module": 2}, -6, "createmodule"),
        ({"debug": 3}, -6, "debug"),
        ({"debug": -2}, -6, "debug"),
        ({"index": 63}, -6, "card_index"),
        ({"index": -2}, -6, "card_index"),
    ],
)
def test_what_cannot_be_connected_to(emulator, changes, status, why):
    assert config(emulator, **changes) == status
    assert why in message(emulator)
    assert emulator.xsp3_get_num_chan(0) == INVALID_PATH
    assert config(emulator) == 0
    assert config(emulator, **changes) == status
    assert emulator.xsp3_get_num_chan(0) == 3  # what was open still is


def test_connecting_again_initialises_again(emulator):
    assert config(emulator) == 0
    emulator.xsp3_set_good_thres(0, -1, 123)
    threshold = ffi.new("uint32_t *")
    assert config(emulator) == 0  # the same handle
    assert emulator.xsp3_get_good_thres(0, 0, threshold) == 0 and threshold[0] == 50
    assert config(emulator, nchan=2, num_tf=32) == 0  # and with other parameters
    assert (emulator.xsp3_get_num_chan(0), emulator.xsp3_get_num_tf(0)) == (2, 32)
    assert emulator.xsp3_close(0) == 0 and emulator.xsp3_close(0) == INVALID_PATH
    assert config(emulator) == 0


LOOK, INITIALISE = (0, 0, 0), (1, 0, 0)


def test_looking_changes_nothing(emulator):
    assert config(emulator, LOOK) == 0  # nothing is there yet: as after power-up
    threshold = ffi.new("uint32_t *")
    emulator.xsp3_set_good_thres(0, -1, 123)
    system = emulator.system(0)
    assert config(emulator, LOOK) == 0 and emulator.system(0) is system
    assert config(emulator, LOOK, nchan=2) == -6
    assert "configured otherwise" in message(emulator)
    assert emulator.xsp3_close(0) == 0
    assert config(emulator, LOOK) == 0
    assert emulator.xsp3_get_good_thres(0, 0, threshold) == 0 and threshold[0] == 123
    assert config(emulator, INITIALISE) == 0
    assert emulator.xsp3_get_good_thres(0, 0, threshold) == 0 and threshold[0] == 50


@pytest.mark.parametrize(
    "init, status",
    [
        ((1, 4, 0), 0),
        ((0x80001, 0x104, 0), 0),
        ((2, 0, 0), -6),
        ((1 | 0x100000, 0, 0), -6),
        ((-1, 0, 0), -6),
        ((1, 8, 0), -6),
        ((1, -1, 0), -6),
        ((1, 0, 5), -6),
        ((1, 0, -1), -6),
        ((1, 0, 1), -1),
    ],
)
def test_ways_to_initialise(emulator, init, status):
    assert config(emulator, init) == status
    if status == 0:
        assert emulator.system(0).electronics.cards[0].readout_mode == init[1]


def test_where_channels_are():
    emulator = EmulatedLibrary(EmulatorSettings(channels=5, cards=2))
    assert config(emulator, ncards=2) == 0
    leaf, index = ffi.new("int *"), ffi.new("int *")
    places = []
    for channel in range(5):
        assert emulator.xsp3_resolve_path(0, channel, leaf, index) == 0
        places.append((leaf[0], index[0]))
    assert [index for _, index in places] == [0, 1, 2, 0, 1]
    assert len({leaf for leaf, _ in places}) == 2 and places[0][0] == places[2][0] != 0
    assert [emulator.xsp3_get_num_chan_used(0, card) for card in (0, 1, 2, -1)] == [3, 2, -3, -3]
    assert config(emulator, nchan=2) == 0
    assert emulator.xsp3_resolve_path(0, 1, leaf, index) == 0 and (leaf[0], index[0]) == (0, 1)
    assert emulator.xsp3_get_chans_per_card(0) == 3 and emulator.xsp3_get_max_num_chan(0) == 5
    assert emulator.xsp3_get_num_chan_used(0, 0) == 2


def test_a_connection_from_a_later_card_on_has_that_card_s_channels():
    rates = (1e4, 1e4, 1e6, 2e6, 1e5, 1e5)
    clock = Clock()
    emulator = EmulatedLibrary(EmulatorSettings(channels=6, cards=3, count_rate=rates), clock, clock.sleep)
    assert config(emulator, index=1, nchan=2) == 0
    assert emulator.system(0).settings.count_rate == rates[2:4]
    handle = Xspress3(emulator, 0)
    handle.format()
    internal(handle, 1, 80_000)
    handle.start()
    clock.ticks(90_000)
    first, second = (scalers[Scaler.all_event] for scalers in read(handle, 0, 1)[1][0])
    assert 800 < first < 1_100 and 1.6 < second / first < 2.2  # not the ten of card 0


def lost_card(fault, **changes):
    clock = Clock()
    emulator = EmulatedLibrary(EmulatorSettings(channels=6, cards=3, faults=fault), clock, clock.sleep)
    assert config(emulator, **changes) == 0
    return emulator, clock


def test_a_fault_s_card_is_one_of_the_whole_system():
    lost = Faults(card_lost=CardLost(card=2, after=1.0))
    register = ffi.new("uint32_t *")
    for changes, answers in (({"index": 0, "ncards": 2}, [0, 0]), ({"index": 1, "ncards": 2}, [0, -9])):
        emulator, clock = lost_card(lost, **changes)
        clock.sleep(2)
        assert [emulator.xsp3_get_glob_timeA(0, card, register) for card in (0, 1)] == answers
    assert message(emulator) == "xsp3_get_glob_timeA: card 2 does not answer"
    assert config(emulator, index=0, ncards=2) == 0 and config(emulator, index=1) == 0
    assert config(emulator, index=2) == -9 and message(emulator) == "card 2 does not answer"


def test_frames_are_lost_on_the_card_that_is_lost():
    emulator, clock = lost_card(Faults(card_lost=CardLost(card=1, frame=3)), index=1, ncards=2)
    handle = Xspress3(emulator, 0)
    handle.format()
    internal(handle, 10, 1_000)
    handle.start()
    clock.ticks(20_000)
    assert [emulator.xsp3_scaler_check_progress(leaf) for leaf in (1, 2)] == [3, 10]


def test_the_card_that_gets_hot_is_one_of_the_whole_system():
    emulator, clock = lost_card(Faults(overheat=Overheat(card=1, temperature=60.0, within=1.0)), index=1, ncards=2)
    normal = ffi.new("float[4]")
    clock.sleep(2)
    warm = []
    for card in (0, 1):
        assert emulator.xsp3_i2c_read_adc_temp(0, card, normal) == 0
        warm.append(normal[0])
    assert warm[0] == pytest.approx(60.0) and warm[1] < 40


def test_a_fault_s_channels_are_those_of_the_whole_system():
    settings = EmulatorSettings(channels=6, cards=3, faults=Faults(missing=Picked(frames=(1,), channels=(1, 3))))
    assert settings.narrowed(2, 1, 2).faults.missing == Picked(frames=(1,), channels=(1,))
    assert settings.narrowed(2, 1, 4).faults.missing is None
    assert settings.narrowed(6, 3).faults == settings.faults


def test_messages_are_text_of_at_most_1023_bytes(emulator):
    assert config(emulator, ip="x" * 5000) == -6
    assert len(message(emulator)) <= 1023 and message(emulator).startswith("baseIPaddress")

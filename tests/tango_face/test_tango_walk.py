"""Every parameter of the core is a Tango attribute: both faces show the same, and what one writes the other sees."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ca_clients import ECA_NORMAL, ECA_PUTFAIL
from system_desk import Desk
from tango_client import DEVICE, TIMEOUT, Pair
from tango_walker import TangoWalker

from xsp3ioc.ca_reader import Reader
from xsp3ioc.records import all_records, to_wire
from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.parameter import parameters

CHANNELS = 2
PARAMETERS = parameters(Declared)
HANG = 4.5
"""Seconds that saving the settings takes; more than the patience of a write."""
LONG = 50.0
"""Seconds of an exposure that does not end by itself."""


class WalkPair(Pair):
    tango_client = TangoWalker


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    detector = {"emulate": True, "channels": CHANNELS}
    faults = {"hang": {"xsp3_save_settings": [1, HANG]}}
    directory = tmp_path_factory.mktemp("walk")
    trace = directory / "trace.jsonl"
    pair = WalkPair(directory, "--trace", str(trace), detector=detector, emulator={"faults": faults})
    pair.trace = trace
    yield pair
    pair.end()
    assert pair.server.process.returncode == 0


@pytest.fixture
def other(pair):
    """Another client of Tango."""
    desk = Desk(TangoWalker, pair.name)
    yield desk
    desk.end()


# every parameter


def test_both_faces_serve_every_parameter_with_the_same_value(pair):
    # So that there is something to show.
    for name, value in (("roi_size_x", 30), ("roi_min_x", 500)):
        assert pair.tango.write(name, [[value] * 48] * CHANNELS) == ()
    assert pair.tango.write("roi_name", [[f"ROI {k} µ" for k in range(48)]] * CHANNELS) == ()
    assert pair.tango.write("roi_series_control", [0] * CHANNELS) == ()
    assert pair.tango.write("scaler_series_acquire", [True] * CHANNELS) == ()
    pair.set(5, 0.01)
    assert pair.ca.put("det1:Acquire", 1)[0] == ECA_NORMAL
    assert pair.tango.write("roi_series_control", [3] * CHANNELS) == ()

    served = set(pair.tango.names())
    assert {parameter.attribute for parameter in PARAMETERS.values()} <= served
    shown = [
        record for record in all_records(PARAMETERS.values(), CHANNELS, pair.server.prefix)
        if record.shows or not record.parameter.readback
    ]  # fmt: skip
    by_parameter: dict[str, list] = {}
    for record in shown:
        if not record.plain:
            by_parameter.setdefault(record.parameter.name, []).append(record)
    assert set(by_parameter) == {name for name, parameter in PARAMETERS.items() if parameter.pv}

    different = {}
    with Reader("127.0.0.1", pair.server.port) as reader:
        for name, records in by_parameter.items():
            # What moves by itself is asked again.
            for _ in range(20):
                found = compare(pair.tango.value(PARAMETERS[name].attribute), reader, records)
                if not found:
                    break
                different[name] = found
            else:
                continue
            different.pop(name, None)
    assert different == {}


def compare(attribute, reader, records):
    """Where a parameter's records show something else than its attribute: name, here, there."""
    found = {}
    for row, record in enumerate(records):
        parameter = record.parameter
        if isinstance(parameter.default, np.ndarray) and isinstance(record.index, int | tuple):
            mine = attribute[row] if attribute else []
        elif isinstance(record.index, tuple):
            mine = attribute[record.index[0]][record.index[1]]
        else:
            mine = attribute if record.index is None else attribute[record.index]
        data = reader.read(reader.channel(record.name), "native").data
        theirs = data if record.is_array else data[0] if record.native != "CHAR" else bytes(data)
        expected = to_wire(record, mine)
        if record.native == "STRING":
            expected = expected.encode()
        if not np.array_equal(expected, theirs, equal_nan=record.is_array):
            found[record.name] = (expected, theirs)
    return found


def test_spectra_are_those_of_the_frame(pair):
    mca, total, rois = pair.tango.values("mca", "mca_sum", "roi_total")
    assert np.shape(mca) == np.shape(total) == (CHANNELS, 4096)
    assert np.sum(mca) > 0
    assert np.shape(rois) == (CHANNELS, 48)
    assert rois[0][0] == sum(mca[0][500:530]) > 0
    value, _, quality, at = pair.tango.read("mca")
    assert value == mca
    assert quality == "ATTR_VALID"
    # The end of the frame, as Channel Access says.
    assert abs(at - pair.ca.read("MCA1:ArrayData").time) < 1e-3


# configuration


def test_every_attribute_says_what_it_is(pair):
    configuration = pair.tango.configuration()
    for parameter in PARAMETERS.values():
        told = configuration[parameter.attribute]
        if parameter.attribute == "Status":
            continue
        assert told["doc"].startswith(parameter.doc)
        assert told["unit"] == parameter.unit
        assert told["label"] == parameter.label
        assert told["access"] == (
            "READ_WRITE" if parameter.writable and parameter.name != "channels" else "READ"
        ), parameter.name
        assert told["level"] == ("EXPERT" if parameter.expert else "OPERATOR")
        if told["type"] == "DevEnum":
            assert [name.replace(" ", "_") for name in parameter.names] == told["labels"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exposure_time", {
            "type": "DevDouble", "format": "SCALAR", "access": "READ_WRITE", "size": (1, 0), "unit": "s",
            "limits": ("1e-06", "53.687"), "label": "AcquireTime", "display": "%.3f",
        }),
        ("frames", {"type": "DevLong64", "unit": "", "limits": ("1", "16777215"), "label": "NumImages"}),
        ("nFramesAcquired", {"type": "DevLong64", "access": "READ", "label": "FramesAcquired"}),
        ("trigger_mode", {"type": "DevEnum", "access": "READ_WRITE", "limits": ("Not specified", "Not specified")}),
        ("acquire", {"type": "DevBoolean", "doc": "Start (1) or stop (0) a series (0 Done, 1 Acquire)"}),
        ("good_threshold", {
            "type": "DevLong64", "format": "SPECTRUM", "size": (CHANNELS, 0), "unit": "bin", "limits": ("0", "4095"),
            "label": "C{chan}_SCA4_THRESHOLD",
        }),
        ("mca", {"type": "DevDouble", "format": "IMAGE", "access": "READ", "size": (4096, CHANNELS)}),
        ("roi_name", {"type": "DevString", "format": "IMAGE", "access": "READ_WRITE", "size": (48, CHANNELS)}),
        ("scaler", {"format": "IMAGE", "size": (11, CHANNELS)}),
        ("roi_series_total", {"format": "IMAGE", "size": (16384, 48 * CHANNELS)}),
        ("temperatures", {"format": "SPECTRUM", "size": (80, 0), "unit": "C"}),
        ("bin_x", {"limits": ("Not specified", "Not specified"), "level": "EXPERT"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_configuration(pair, name, expected):
    told = pair.tango.configuration(name)[name]
    assert {key: told[key] for key in expected} == expected


# one core


def test_what_tango_writes_channel_access_sees_at_once(pair):
    pair.ca.monitor("det1:NumImages_RBV", "det1:C2_SCA5_HLM_RBV")
    assert pair.tango.write("frames", 17) == ()
    assert pair.tango.value("frames") == 17
    pair.ca.wait_for("det1:NumImages_RBV", 17)
    pair.ca.wait_for("det1:NumImages", 17)
    high = pair.tango.value("window1_high")
    assert pair.tango.write("window1_high", [high[0], 1234]) == ()
    pair.ca.wait_for("det1:C2_SCA5_HLM_RBV", 1234)
    assert [reading.value for reading in pair.ca.seen("det1:NumImages_RBV")][-1] == 17


def test_what_channel_access_writes_tango_sees_at_once(pair):
    pair.tango.listen("change", "frames", "roi_min_x", "roi_first", "roi_name")
    assert pair.ca.put("det1:NumImages", 23)[0] == ECA_NORMAL
    value, written, *_ = pair.tango.read("frames")
    assert value == 23
    assert pair.tango.heard("change", "frames", 23)[-1][0] == 23
    # What was set last, whoever has set it.
    assert pair.tango.read("frames")[1] == 23
    assert pair.ca.put("MCA2ROI:3:MinX", 77)[0] == ECA_NORMAL
    rois = pair.tango.value("roi_min_x")
    assert rois[1][2] == 77
    assert pair.tango.heard("change", "roi_min_x", rois)[-1][0] == rois
    first = pair.tango.value("roi_first")
    assert first[1][2] == 77
    pair.tango.heard("change", "roi_first", first)
    assert pair.ca.put("MCA1ROI:1:Name", "Fe Ka")[0] == ECA_NORMAL
    names = pair.tango.value("roi_name")
    assert names[0][0] == "Fe Ka"
    pair.tango.heard("change", "roi_name", names)


def test_an_element_that_is_written_as_it_was_is_not_put(pair):
    rois = pair.tango.value("roi_size_x")
    rois[0][5] += 1
    assert pair.tango.write("roi_size_x", rois) == ()
    puts = [line for line in pair.server.log.read_text().splitlines() if "puts: tango@" in line]
    assert "puts: tango@127.0.0.1 MCA1ROI:6:SizeX = 31, was 30" in puts[-1]
    assert "SizeX" not in puts[-2] or "= 30" in puts[-2]


def test_a_write_that_starts_returns_when_it_has_begun(pair):
    pair.set(1, LONG)
    assert pair.tango.write("acquire", True) == ()
    assert pair.tango.state() == "RUNNING"
    assert pair.tango.write("acquire", False) == ()
    assert pair.tango.state() == "STANDBY"


def test_the_client_is_in_the_log_of_puts(pair):
    assert pair.tango.write("frames", 31) == ()
    pair.server.wait_for_log("puts: tango@127.0.0.1 NumImages = 31")


# what is refused


@pytest.mark.parametrize(
    ("name", "value", "reason", "words"),
    [
        ("frames", 0, "API_WAttrOutsideLimit", "below the minimum authorized"),
        ("exposure_time", 60.0, "API_WAttrOutsideLimit", "above the maximum authorized"),
        ("exposure_time", float("nan"), "API_WAttrOutsideLimit", "NaN or INF"),
        ("trigger_mode", 99, "API_WAttrOutsideLimit", "above the maximun authorized"),
        ("exposures", 2, "ValueError", "NumExposures = 2 is above 1"),
        ("file_name", "x" * 300, "ValueError", "HDF1:FileName has 300 characters, more than 255"),
        ("file_name", "a\nb", "ValueError", "characters that cannot be printed"),
        ("data_type", 3, "ValueError", "DataType = UInt16: spectra are UInt32"),
        ("nChannels", 7, "API_AttrNotWritable", ""),
        ("good_threshold", [1] * (CHANNELS + 1), "API_WAttrOutsideLimit", "greater than the max"),
        ("good_threshold", [1], "ValueError", f"good_threshold has 1 values, not {CHANNELS}"),
        ("roi_size_x", [[1] * 47] * CHANNELS, "ValueError", f"{CHANNELS} x 47 values, not {CHANNELS} x 48"),
        ("roi_name", [["x" * 60] * 48] * CHANNELS, "ValueError", "MCA1ROI:1:Name has 60 characters, more than 39"),
        ("nFramesAcquired", 1, "API_AttrNotWritable", ""),
        ("soft_trigger", True, "StateError", "SoftTrigger while not acquiring: write 1 to Acquire first"),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(pair, name, value, reason, words):
    before = pair.tango.value(name)
    refusal = pair.tango.write(name, value)
    assert refusal, "it was accepted"
    assert refusal[0] == reason
    assert words in refusal[1]
    assert pair.tango.state() == "STANDBY"
    assert pair.tango.value(name) == before
    if reason in ("ValueError", "StateError") and " values, not " not in words:
        # The core's words are the same for all.
        assert pair.tango.status() == refusal[1]
        assert pair.ca.get("det1:StatusMessage_RBV") == refusal[1]


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("frames", "DevString", "many"), ("frames", "DevDouble", 1.5), ("file_name", "DevLong64", 5)],
)
def test_a_wrong_type_is_refused(pair, name, kind, value):
    before = pair.tango.value(name)
    refusal = pair.tango.write_as(name, kind, value)
    assert refusal[0] == "API_IncompatibleAttrDataType"
    assert pair.tango.value(name) == before
    assert pair.tango.state() == "STANDBY"


def test_a_refusal_of_one_element_puts_none(pair):
    before = pair.tango.value("roi_name")
    wrong = [row[:] for row in before]
    wrong[0][0], wrong[1][47] = "good", "x" * 60
    assert pair.tango.write("roi_name", wrong)[1].startswith(f"MCA{CHANNELS}ROI:48:Name has 60 characters")
    assert pair.tango.value("roi_name") == before


def test_two_faces_start_one_acquisition(pair):
    pair.set(1, LONG)
    assert pair.tango.write("acquire", True) == ()
    assert pair.ca.put("det1:Acquire", 1)[0] == ECA_PUTFAIL
    reason, words = pair.tango.write("acquire", True)
    assert reason == "StateError"
    assert words.startswith("Acquire = 1 while acquiring")
    assert pair.ca.put("det1:Acquire", 0)[0] == ECA_NORMAL


# what takes long


def test_others_are_answered_while_writes_wait(pair, other, tmp_path):
    assert pair.tango.write("config_save_path", str(tmp_path)) == ()
    assert pair.tango.write("frames", 50) == ()
    rois = pair.tango.value("roi_size_x")
    other.tell("write", "save_settings", True)  # takes HANG
    deadline = time.monotonic() + TIMEOUT
    while '"xsp3_save_settings"' not in pair.trace.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert pair.tango.state() == "STANDBY"
    assert pair.tango.values("frames", "nFramesAcquired")[0] == 50
    assert pair.tango.run("Stop") == ""
    assert not other.has_answered()
    # Behind the other: it never begins.
    withdrawn = pair.tango.write("roi_size_x", (np.array(rois) + 1).tolist())
    assert withdrawn == ("TimeoutError", "roi_size_x has waited 2.5 s for the commands before it and is withdrawn")
    reason, words = other.answer()
    assert (reason, words.rpartition(" and ")[2]) == ("TimeoutError", "goes on")
    pair.server.wait_for_log("SAVE_SETTINGS = 1 Save")
    assert pair.tango.write("exposures", 1) == ()  # all before it is done
    assert pair.tango.value("roi_size_x") == rois  # nor do its other elements


def test_a_restarted_device_has_its_attributes(pair):
    import tango

    server = f"dserver/Xspress3DS/{DEVICE.replace('/', '-')}"
    admin = tango.DeviceProxy(f"tango://127.0.0.1:{pair.port}/{server}#dbase=no")
    admin.set_timeout_millis(1000 * TIMEOUT)
    admin.command_inout("DevRestart", DEVICE)
    pair.tango.wait_for("STANDBY")
    assert {parameter.attribute for parameter in PARAMETERS.values()} <= set(pair.tango.names())
    assert pair.tango.write("frames", 41) == ()
    pair.ca.wait_for("det1:NumImages_RBV", 41)
    deadline = time.monotonic() + TIMEOUT
    while pair.tango.read("exposures")[1] != 1:  # what is set, as before
        assert time.monotonic() < deadline
        time.sleep(0.05)

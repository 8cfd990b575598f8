"""NDAttributes in a file: every kind, every type, with gaps, and what a stranger may have sent."""

import h5py
import msgspec
import numpy as np
import pytest
from receivers_feed import CHANNELS, START, capture, end, frames, header

from xsp3ioc.receivers.attributes import convert
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.stream.messages import Attribute, AttributeSet, Image, ProtocolError, decode_from_server, encode, image_of

GROUP = "/entry/instrument/NDAttributes"
DETECTOR = "/entry/instrument/xspress3"
ALWAYS = {"NDArrayUniqueId", "NDArrayTimeStamp", "NDArrayEpicsTSSec", "NDArrayEpicsTSnSec"}
EPICS_EPOCH = 631152000


def attribute(name, type="EPICS_PV", source="A:b", **fields):
    return Attribute(name=name, type=type, source=source, **fields)


def only(*attributes):
    return AttributeSet(standard=False, attributes=attributes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "attributes.h5"


def opened(path, attributes, **changes):
    file = NexusFile(capture(path, attributes=attributes, **changes), str(path))
    file.begin(header(attributes=attributes))
    return file


def beside(first, count, **values):
    """A block as a receiver gets it."""
    block = frames(first, count)
    object.__setattr__(block, "attributes", values)
    return block


def read(path, name):
    with h5py.File(path, locking=False) as file:
        return file[f"{GROUP}/{name}"][()]


def test_the_standard_set(path):
    """The names and types of the areaDetector driver's file."""
    file = opened(path, AttributeSet())
    block = frames(0, 3)
    file.write(block)
    file.close()
    with h5py.File(path) as h5:
        group = h5[GROUP]
        channel = [*(f"SCA{n}" for n in range(8)), "EventWidth", "DTFactor", "DTPercent"]
        names = {f"CHAN{n}{name}" for n in range(1, CHANNELS + 1) for name in channel}
        assert set(group) == names | ALWAYS | {"ArrayCounter", "TIMESTAMP", "Date", "RingCurrent"}
        assert {group[name].dtype for name in names} == {np.dtype("f8")}
        assert group["RingCurrent"].dtype == np.float32
        assert np.isnan(group["RingCurrent"][()]).all()
        told = dict(group["CHAN2SCA3"].attrs)
        assert told["NDAttrName"] == "CHAN2SCA3"
        assert told["NDAttrDescription"] == "CHAN2 AllEvent"
        assert told["NDAttrSource"] == "XSP3_CHAN_SCA3"
        assert told["NDAttrSourceType"] == "NDAttrSourceParam"
        assert group["NDArrayUniqueId"].attrs["NDAttrSourceType"] == "NDAttrSourceDriver"
        assert group["RingCurrent"].attrs["NDAttrSourceType"] == "NDAttrSourceEPICSPV"
        np.testing.assert_array_equal(group["CHAN2SCA3"], block.scalers[:, 1, 3])
        assert {len(group[name]) for name in group} == {3}


def test_units(path):
    chosen = AttributeSet().with_more(
        [
            attribute("time", type="PARAM", source="exposure_time", unit="s"),
            attribute("number", type="PARAM", source="frames", datatype="f8"),
            attribute("energy", source="mono:energy"),
            attribute("count", source="count", datatype="i4"),
        ]
    )
    opened(path, chosen).close()
    with h5py.File(path) as h5:
        found = {name: item.attrs.get("units") for name, item in h5[GROUP].items()}
    told = {
        "time": "s", "number": "", "energy": "unknown", "count": None, "CHAN1SCA0": "tick", "CHAN1EventWidth": "tick",
        "CHAN1DTFactor": "", "CHAN1DTPercent": "%", "TIMESTAMP": "s", "NDArrayEpicsTSnSec": "ns", "ArrayCounter": None,
        "RingCurrent": "unknown",
    }  # fmt: skip
    assert {name: found[name] for name in told} == told


def test_a_set_of_ones_own(path):
    """Names, types and values as they were asked for; and nothing else."""
    chosen = only(
        attribute("x-dtf", "PARAM", "XSP3_CHAN_DTFACTOR", addr=1),
        attribute("ticks", "PARAM", "XSP3_CHAN_SCA0", datatype="i8"),
        attribute("few", "PARAM", "XSP3_CHAN_SCA5", datatype="f4"),
        attribute("rate", "PARAM", "output_rate", addr=1),
        attribute("count", "PARAM", "ARRAY_COUNTER", datatype="i4"),
        attribute("in series", "PARAM", "NIMAGES_COUNTER", datatype="f8"),
        attribute("seconds", "PARAM", "EPICS_TS_SEC", datatype="i8"),
        attribute("sample", "CONST", "Fe2O3 µm", datatype="S256", description="what it is"),
        attribute("seven", "CONST", "7", datatype="i2"),
        attribute("exposure", "PARAM", "ACQ_TIME"),
    )
    file = opened(path, chosen)
    block = beside(0, 5, exposure=0.25)
    file.write(block)
    file.close()
    with h5py.File(path) as h5:
        group = h5[GROUP]
        assert set(group) == ALWAYS | {one.name for one in chosen.attributes}
        np.testing.assert_array_equal(group["x-dtf"], block.factors[:, 1])
        np.testing.assert_array_equal(group["ticks"], block.scalers[:, 0, 0])
        assert group["ticks"].dtype == np.int64
        np.testing.assert_array_equal(group["few"], block.scalers[:, 0, 5].astype(np.float32))
        np.testing.assert_array_equal(group["rate"], h5[DETECTOR]["output_count_rate"][:, 1])
        np.testing.assert_array_equal(group["count"], np.arange(1, 6))
        np.testing.assert_array_equal(group["in series"], np.arange(1.0, 6.0))
        np.testing.assert_array_equal(group["seconds"], int(START + 1 - EPICS_EPOCH))
        assert [one.decode() for one in group["sample"][()]] == ["Fe2O3 µm"] * 5
        assert group["sample"].attrs["NDAttrDescription"] == "what it is"
        assert group["sample"].attrs["NDAttrSourceType"] == "NDAttrSourceConst"
        np.testing.assert_array_equal(group["seven"], np.full(5, 7, np.int16))
        np.testing.assert_array_equal(group["exposure"], np.full(5, 0.25))
        assert h5[f"{DETECTOR}/NDAttributes/x-dtf"] == group["x-dtf"]


@pytest.mark.parametrize("datatype", ["f8", "f4", "i4", "i1", "S256"])
def test_values_of_blocks_of_any_length(path, datatype):
    """A value is that of all frames of its block; no value is NaN, 0 or no text; frames that never came have none."""
    file = opened(path, only(attribute("a", datatype=datatype)))
    first, expected = 0, []
    for turn, length in enumerate((1, 3, 1500, 7, 64, 900, 2, 5)):
        values = {} if turn == 3 else {"a": None} if turn == 4 else {"a": turn}
        file.write(beside(first, length, **values))
        expected += [values.get("a")] * length
        first += length
        if turn == 5:
            file.flush()
        if turn == 6:
            first += 10
            expected += [None] * 10
    file.end_series(end(acquired=first + 4))
    expected += [None] * 4
    file.close()
    found = read(path, "a")
    nothing = {"f8": np.nan, "f4": np.nan, "i4": 0, "i1": 0, "S256": ""}[datatype]
    values = [nothing if one is None else one for one in expected]
    if datatype == "S256":
        assert [one.decode() for one in found] == [str(one) for one in values]
    else:
        np.testing.assert_array_equal(found, np.array(values, datatype))
        assert found.dtype == np.dtype(datatype)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (300, "i1", 127), (-300, "i1", -128), (2.9, "i4", 2), (1e99, "i8", 2**63 - 1), (10**30, "i8", 2**63 - 1),
        ("2.5", "f8", 2.5), ("two", "f8", np.nan), ("two", "i4", 0), (None, "i4", 0), (1e300, "f4", np.inf),
        (float("nan"), "i4", 0), (True, "i4", 1), (2.5, "S256", b"2.5"), (None, "S256", b""),
        ("µ" * 200, "S256", ("µ" * 127).encode()), ("a\0b", "S256", b"a\0b"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(value, dtype, expected):
    np.testing.assert_array_equal(np.array(convert(value, np.dtype(dtype)), dtype), np.array(expected, dtype))


def test_a_set_that_changes_in_mid_file_keeps_its_datasets(path):
    """Series of another set may be written to it: what it does not know is left out, what is not sent is missing."""
    file = opened(path, only(attribute("a"), attribute("b")))
    file.write(beside(0, 2, a=1.0, b=2.0))
    file.end_series(end(2))
    file.begin(header(2, attributes=only(attribute("b"), attribute("c"))))
    block = frames(0, 3, series_id=2)
    object.__setattr__(block, "attributes", {"b": 5.0, "c": 6.0})
    file.write(block)
    file.close()
    with h5py.File(path) as h5:
        assert set(h5[GROUP]) == ALWAYS | {"a", "b"}
    np.testing.assert_array_equal(read(path, "a"), [1, 1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(read(path, "b"), [2, 2, 5, 5, 5])


def test_a_name_of_the_standard_set_can_be_taken(path):
    chosen = AttributeSet().with_more([attribute("RingCurrent", source="S:DCCT"), attribute("NDArrayUniqueId")])
    file = opened(path, chosen)
    file.write(beside(0, 2, RingCurrent=102.5, NDArrayUniqueId=9.0))
    file.close()
    np.testing.assert_array_equal(read(path, "RingCurrent"), [102.5, 102.5])
    np.testing.assert_array_equal(read(path, "NDArrayUniqueId"), [9.0, 9.0])
    assert read(path, "CHAN1SCA0").shape == (2,)


def test_readable_while_it_is_written(path):
    constant, ticks = attribute("c", "CONST", "x", datatype="S256"), attribute("t", "PARAM", "XSP3_CHAN_SCA0")
    chosen = only(attribute("a"), constant, ticks)
    file = opened(path, chosen, swmr=True)
    file.write(beside(0, 4, a=1.5))
    file.flush()
    with h5py.File(path, swmr=True, locking="best-effort") as h5:
        np.testing.assert_array_equal(h5[f"{GROUP}/a"], [1.5] * 4)
        assert h5[f"{GROUP}/c"][3] == b"x"
        assert len(h5[f"{GROUP}/t"]) == 4
    file.write(beside(4, 4, a=2.5))
    file.close()
    np.testing.assert_array_equal(read(path, "a"), [1.5] * 4 + [2.5] * 4)


# on the wire


def test_values_travel_with_their_block():
    image = image_of(frames(0, 1), 3, {"a": 1.5, "b": "text", "c": 7, "d": None, "e": float("nan")})
    told = decode_from_server(encode(image))
    assert isinstance(told, Image)
    assert told.attributes == {"a": 1.5, "b": "text", "c": 7, "d": None, "e": None}


def test_nothing_is_sent_that_is_not_wanted():
    assert decode_from_server(encode(image_of(frames(0, 1), 3))).attributes == {}
    assert decode_from_server(encode(header())).attributes == AttributeSet()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0", "x" * 101, "a\n"])
def test_names_that_are_no_names_of_datasets(name):
    raw = encode(header(attributes=only(attribute("NAME")))).replace(b'"NAME"', msgspec.json.encode(name))
    with pytest.raises(ProtocolError):
        decode_from_server(raw)


@pytest.mark.parametrize("change", [(b"f8", b"O"), (b"EPICS_PV", b"FUNCT"), (b'"A:b"', b"7")])
def test_definitions_that_are_none(change):
    raw = encode(header(attributes=only(attribute("a", datatype="f8"))))
    with pytest.raises(ProtocolError):
        decode_from_server(raw.replace(*change))


@pytest.mark.parametrize(
    "wrong",
    [
        attribute("a", "PARAM", "XSP3_CHAN_SCA0", addr=CHANNELS),
        attribute("a", "PARAM", "XSP3_CHAN_SCA0", addr=-1),
        attribute("a", "PARAM", "TIME_STAMP", datatype="S256"),
    ],
)
def test_definitions_that_cannot_be_written(path, wrong):
    with pytest.raises(ValueError, match="attribute a"):
        NexusFile(capture(path, attributes=only(wrong)), str(path))
    assert not path.exists()

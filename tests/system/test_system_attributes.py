"""NDAttributes from end to end: written by libca clients, filled by this server and by another IOC, read by h5py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from server_process import free_port
from system_desk import Desk
from system_libca import LibcaClient
from system_rig import Rig, Written

GROUP = "/entry/instrument/NDAttributes"
OK, NOT_FOUND, SYNTAX, MACROS = range(4)
REFUSED = 160
"""ECA_PUTFAIL."""


class Beamline:
    """The other IOC's process."""

    def __init__(self, directory):
        self.port = free_port()
        self.directory = directory
        self.start()

    @property
    def environment(self):
        return {
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_SERVER_PORT": str(self.port),
        }

    def start(self):
        program = Path(__file__).with_name("system_attribute_ioc.py")
        beacons = {"EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO", "EPICS_CAS_SERVER_PORT": str(self.port)}
        self.log = (self.directory / "beamline.log").open("wb")
        environment = os.environ | self.environment | beacons
        self.process = subprocess.Popen(
            [sys.executable, program, "BL:"], env=environment, stdout=self.log, stderr=self.log
        )

    def stop(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    beamline = Beamline(tmp_path_factory.mktemp("beamline"))
    yield beamline
    beamline.stop()


@pytest.fixture(scope="module")
def rig(tmp_path_factory, beamline):
    """A server that searches where the other IOC is."""
    before = dict(os.environ)
    os.environ.update(beamline.environment)
    try:
        rig = Rig(tmp_path_factory.mktemp("rig"))
    finally:
        os.environ.clear()
        os.environ.update(before)
    yield rig
    assert rig.end() == 0


@pytest.fixture(scope="module")
def outside(beamline):
    """A client of the other IOC."""
    desk = Desk(LibcaClient, "BL:", environment=os.environ | beamline.environment)
    yield desk
    desk.end()


@pytest.fixture(autouse=True)
def the_standard_set(request):
    """Each test leaves it as it was."""
    yield
    rig = request.node.funcargs.get("rig")
    if rig is not None:
        rig.ca.set(NDAttributesMacros="", HDF1__NDAttributesMacros="", HDF1__NDAttributesFile="")
        rig.ca.set(NDAttributesFile="XSP3.xml")


def xml(*elements):
    return "<Attributes>\n" + "".join(f"  <Attribute {element}/>\n" for element in elements) + "</Attributes>"


def record(name, pv, more=""):
    return f'name="{name}" type="EPICS_PV" source="{pv}" {more}'


def written(rig, name, series=(4,), exposure=0.001):
    """Write a file of series of so many frames: its path."""
    path = rig.capture(name, sum(series))
    for frames in series:
        assert rig.acquire(frames, exposure) == 1
    assert rig.ca.put_status("capture") == 1
    return path


def read(path, *names):
    with h5py.File(path) as file:
        return [file[f"{GROUP}/{name}"][()] for name in names]


def names_in(path):
    with h5py.File(path) as file:
        return set(file[GROUP])


# the standard set


def test_the_standard_set(rig):
    """54 datasets at four channels, as the areaDetector driver writes them."""
    path = written(rig, "standard")
    assert len(names_in(path)) == 54
    file = Written(path)
    scaler, factor, model, ring = read(path, "CHAN3SCA4", "CHAN2DTFactor", "Model", "RingCurrent")
    np.testing.assert_array_equal(scaler, file.scalers(0, 4)[:, 2, 4])
    np.testing.assert_array_equal(factor, file["dead_time_correction"][:, 1])
    assert set(model) == {b"Xspress3 (emulated)"}
    assert np.isnan(ring).all()


# haven's way


def test_as_haven_does(rig):
    """XML text at stage; restored first of all at unstage, while the file is still open."""
    ca = rig.ca
    before = ca.get("det1:NDAttributesFile")
    assert before == "XSP3.xml"
    elements = [
        f'name="xsp3-element{channel}-{name}" type="PARAM" source="{source}" addr="{channel}" datatype="DOUBLE" '
        f'description="Chan {channel} {name}"'
        for channel in range(4)
        for name, source in [
            ("deadtime_factor", "XSP3_CHAN_DTFACTOR"), ("deadtime_percent", "XSP3_CHAN_DTPERCENT"),
            ("event_width", "XSP3_EVENT_WIDTH"), *((f"sca{n}", f"XSP3_CHAN_SCA{n}") for n in range(8)),
        ]
    ]  # fmt: skip
    text = xml(*elements).replace("\n", "")
    assert 6000 < len(text) < 16384
    assert ca.put("det1:NDAttributesFile", text)[0] == 1
    assert ca.get("det1:NDAttributesFile") == text
    path = rig.capture("haven")
    assert rig.acquire(5) == 1
    assert ca.put("det1:NDAttributesFile", before)[0] == 1
    assert rig.message() == f"The new NDAttributes are for the next file; {path} keeps its own"
    assert rig.acquire(3) == 1
    assert ca.put("HDF1:Capture", 0)[0] == 1
    file = Written(path)
    with h5py.File(path) as h5:
        group = h5[GROUP]
        assert {name for name in group if name.startswith("xsp3-")} == {one.split('"')[1] for one in elements}
        assert "CHAN1SCA0" not in group
        for channel in range(4):
            factor, ticks = (group[f"xsp3-element{channel}-{name}"] for name in ("deadtime_factor", "sca0"))
            assert (factor.dtype, factor.shape, ticks.dtype) == (np.float64, (8,), np.float64)
            np.testing.assert_array_equal(factor, file["dead_time_correction"][:, channel])
            np.testing.assert_array_equal(ticks, file["clock_ticks"][:, channel])
        assert group["xsp3-element2-sca4"].attrs["NDAttrDescription"] == "Chan 2 sca4"
    assert ca.get("det1:NDAttributesFile") == "XSP3.xml"
    assert "CHAN1SCA0" in names_in(written(rig, "after haven"))


# records of other servers


def test_records_of_every_type(rig):
    text = xml(
        record("energy", "BL:energy", 'dbrtype="DBR_DOUBLE" description="keV"'),
        record("float", "BL:energy", 'dbrtype="DBR_FLOAT"'),
        record("whole", "BL:energy", 'dbrtype="DBR_LONG"'),
        record("count", "BL:count.VAL", 'dbrtype="DBR_SHORT"'),
        record("native", "BL:count"),
        record("sample", "BL:sample", 'dbrtype="DBR_STRING"'),
        record("sample native", "BL:sample", 'dbrtype="DBR_NATIVE"'),
        record("mode", "BL:mode", 'dbrtype="DBR_STRING"'),
        record("mode number", "BL:mode", 'dbrtype="DBR_ENUM"'),
        record("first", "BL:array"),
        record("energy as text", "BL:energy", 'dbrtype="DBR_STRING"'),
        record("ours", f"{rig.server.prefix}det1:AcquireTime"),
        record("our mode", f"{rig.server.prefix}det1:TriggerMode_RBV", 'dbrtype="DBR_STRING"'),
        record("our window", f"{rig.server.prefix}det1:C3_SCA5_LLM", 'dbrtype="DBR_LONG"'),
    )
    rig.ca.set(NDAttributesFile=text, det1__C3_SCA5_LLM=7)
    assert rig.ca.read("det1:NDAttributesStatus").severity == 0
    path = written(rig, "records", exposure=0.002)
    expected = {
        "energy": np.float64(7.112), "float": np.float32(7.112), "whole": np.int32(7), "count": np.int16(5),
        "native": np.float64(5), "mode number": np.int16(1), "first": np.float64(3), "ours": np.float64(0.002),
        "our window": np.int32(7), "sample": b"Fe2O3", "sample native": b"Fe2O3", "mode": b"two",
        "our mode": b"Internal",
    }  # fmt: skip
    for name, value in expected.items():
        (found,) = read(path, name)
        assert found.tolist() == [np.asarray(value).tolist()] * 4, name
        assert found.dtype == ("S256" if isinstance(value, bytes) else value.dtype), name
    assert read(path, "energy as text")[0][0].startswith(b"7.112")
    with h5py.File(path) as file:
        assert file[f"{GROUP}/energy"].attrs["NDAttrSource"] == "BL:energy"
        assert file[f"{GROUP}/energy"].attrs["NDAttrSourceType"] == "NDAttrSourceEPICSPV"


def test_a_record_that_changes(rig, outside):
    """Each block has the value of its time; a put to a setting of the series is for the next one."""
    rig.ca.set(
        NDAttributesFile=xml(
            record("energy", "BL:energy"),
            record("our offset", f"{rig.server.prefix}C1:EnergyOffset"),
            'name="exposure" type="PARAM" source="ACQ_TIME" datatype="DOUBLE"',
            'name="offset" type="PARAM" source="energy_offset" addr="0"',
        )
    )
    path = rig.capture("moving", 200)
    assert outside.get("energy") == 7.112
    rig.begin(200, 0.02)
    for turn in (1, 2):
        rig.ca.wait_above("det1:ArrayCounter_RBV", 50 * turn)
        outside.put("energy", 7.0 + turn)
        rig.ca.set(C1__EnergyOffset=float(turn), AcquireTime=0.01)
    assert rig.ca.is_open("acquire")
    assert rig.ca.put_status("acquire") == 1
    assert rig.ca.put_status("capture") == 1
    outside.put("energy", 7.112)
    rig.ca.set(C1__EnergyOffset=0.0)
    energy, record_offset, exposure, offset = read(path, "energy", "our offset", "exposure", "offset")
    assert list(dict.fromkeys(energy)) == [7.112, 8.0, 9.0]
    assert list(dict.fromkeys(record_offset)) == list(dict.fromkeys(offset)) == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(exposure, np.full(200, 0.02))


def test_a_record_that_is_not_there(rig):
    """It is said, it delays nothing, and it is NaN, 0 or no text."""
    ca = rig.ca
    text = xml(
        record("nobody", "BL:nobody"),
        record("whole", "BL:nobody2", 'dbrtype="DBR_LONG"'),
        record("text", "BL:nobody3", 'dbrtype="DBR_STRING"'),
        record("count", "BL:count"),
    )
    status, seconds = ca.put("det1:NDAttributesFile", text)
    assert status == 1
    assert seconds < 5
    missing = "BL:nobody, BL:nobody2, BL:nobody3"
    assert rig.message() == f"NDAttributes: no answer from {missing}; NaN is written until there is one"
    assert (ca.read("det1:NDAttributesStatus").value, ca.read("det1:NDAttributesStatus").severity) == (OK, 1)
    path = written(rig, "nobody", (3, 3))
    nobody, whole, words, count = read(path, "nobody", "whole", "text", "count")
    assert np.isnan(nobody).all()
    np.testing.assert_array_equal(whole, np.zeros(6, np.int32))
    assert set(words) == {b""}
    np.testing.assert_array_equal(count, np.full(6, 5.0))
    assert rig.server.log.read_text().count("no answer from BL:nobody, BL:nobody2") == 1
    ca.set(NDAttributesFile="XSP3.xml")
    assert ca.read("det1:NDAttributesStatus").severity == 0


def test_a_server_that_goes_and_comes_back(rig, beamline):
    """A dead one, and then a stopped one, hold nothing up."""
    ca = rig.ca
    ca.set(NDAttributesFile=xml(record("energy", "BL:energy")))
    ca.wait_for_severity("det1:NDAttributesStatus", 0)
    beamline.stop()
    ca.wait_for_severity("det1:NDAttributesStatus", 1)
    assert np.isnan(read(written(rig, "gone"), "energy")[0]).all()
    beamline.start()
    ca.wait_for_severity("det1:NDAttributesStatus", 0)
    np.testing.assert_array_equal(read(written(rig, "back"), "energy")[0], np.full(4, 7.112))
    beamline.process.send_signal(signal.SIGSTOP)
    try:
        np.testing.assert_array_equal(read(written(rig, "stopped"), "energy")[0], np.full(4, 7.112))
    finally:
        beamline.process.send_signal(signal.SIGCONT)


def test_a_file_in_the_middle_of_a_series(rig):
    """It has what was asked for last; and so has one that is opened lazily."""
    ca = rig.ca
    rig.begin(400, 0.01)
    ca.wait_above("det1:ArrayCounter_RBV", 3)
    ca.set(NDAttributesFile=xml(record("energy", "BL:energy"), 'name="c" type="CONST" source="1"'))
    path = rig.capture("in the middle", 10)
    assert ca.put_status("capture") == 1
    assert ca.put("det1:Acquire", 0)[0] == 1
    energy, constant = read(path, "energy", "c")
    np.testing.assert_array_equal(energy, np.full(10, 7.112))
    assert constant.tolist() == [b"1"] * 10
    ca.set(HDF1__LazyOpen=1)
    try:
        rig.capture("lazy", 5)
        ca.set(NDAttributesFile=xml(record("count", "BL:count")))
        assert "keeps its own" not in rig.message()
        assert rig.acquire(5) == 1
        assert ca.put_status("capture") == 1
    finally:
        ca.set(HDF1__LazyOpen=0)
    np.testing.assert_array_equal(read(ca.get("HDF1:FullFileName_RBV"), "count")[0], np.full(5, 5.0))


# files, macros, the file plugin's own set


def test_files_and_macros(rig):
    ca = rig.ca
    (rig.files / "mine.xml").write_text(xml(record("count", "$(P)count"), 'name="$(N=none)" type="CONST" source="1"'))
    assert ca.put("det1:NDAttributesFile", str(rig.files / "mine.xml"))[0] == 1
    ca.set(NDAttributesMacros='P=BL:, N="a,b"')
    assert ca.get("det1:NDAttributesFile") == str(rig.files / "mine.xml")
    path = written(rig, "macros")
    np.testing.assert_array_equal(read(path, "count")[0], np.full(4, 5.0))
    assert read(path, "a,b")[0][0] == b"1"
    ca.set(CONFIG_PATH=str(rig.files), NDAttributesMacros="", NDAttributesFile="mine.xml")
    assert "$(N=none)" in names_in(written(rig, "no macros"))
    ca.set(NDAttributesMacros="P=BL:")
    status, _ = ca.put("det1:NDAttributesMacros", "Q=1")
    assert status == REFUSED
    assert "line 2: macro 'P' is not defined; defined are Q" in rig.message()
    assert ca.get("det1:NDAttributesStatus") == MACROS
    assert ca.get("det1:NDAttributesMacros") == "P=BL:"
    assert "none" in names_in(written(rig, "macros kept"))


def test_the_files_own_set(rig):
    """What the plugin asks for goes over what the detector has."""
    rig.ca.set(
        NDAttributesFile=xml('name="a" type="CONST" source="1"', 'name="b" type="CONST" source="1"'),
        HDF1__NDAttributesFile=xml(
            'name="b" type="CONST" source="2"', 'name="number" type="PARAM" source="FILE_NUMBER"'
        ),
    )
    assert rig.ca.gets("det1:NDAttributesStatus", "HDF1:NDAttributesStatus") == [OK, OK]
    number = rig.ca.get("HDF1:FileNumber")
    path = written(rig, "merged")
    one, two, numbers = read(path, "a", "b", "number")
    assert (set(one), set(two)) == ({b"1"}, {b"2"})
    np.testing.assert_array_equal(numbers, np.full(4, number + 1))
    rig.ca.set(NDAttributesFile="XSP3.xml")
    assert {"CHAN1SCA0", "b", "number"} <= names_in(written(rig, "merged with the standard"))
    rig.ca.set(NDAttributesFile="", HDF1__NDAttributesFile="")
    assert all(name.startswith("NDArray") for name in names_in(written(rig, "none")))


def test_its_own_file_of_the_standard_name(rig):
    """One in the settings directory goes before the built-in set."""
    (rig.files / "XSP3.xml").write_text(xml(record("count", "BL:count"), record("ArrayCounter", "BL:count")))
    try:
        rig.ca.set(CONFIG_PATH=str(rig.files), NDAttributesFile="XSP3.xml")
        names = names_in(written(rig, "own standard"))
        assert {"count", "ArrayCounter"} <= names
        assert "CHAN1SCA0" not in names
    finally:
        (rig.files / "XSP3.xml").unlink()
    rig.ca.set(NDAttributesFile="XSP3.xml")
    assert "CHAN1SCA0" in names_in(written(rig, "standard again"))


# what scalers show


@pytest.fixture
def own_names(rig):
    """Each scaler shows again what it is made for."""
    yield
    for scaler, end in enumerate([*(f"SCA{n}" for n in range(8)), "EventWidth", "DTFactor", "DTPercent"]):
        rig.ca.put(f"C2SCA:{scaler}:AttrName", f"CHAN2{end}")


def scalers(rig, *numbers):
    return [rig.ca.get(f"C2SCA:{number}:Value_RBV") for number in numbers]


def test_scalers_show_what_they_are_named_after(rig, outside, own_names):
    ca = rig.ca
    ca.set(
        NDAttributesFile=xml(
            record("energy", "BL:energy"),
            'name="dead" type="PARAM" source="XSP3_CHAN_DTPERCENT" addr="3"',
            'name="exposure" type="PARAM" source="ACQ_TIME"',
            'name="rate" type="PARAM" source="input_rate" addr="1"',
            'name="seven" type="CONST" source="7"',
        )
    )
    names = {0: "CHAN1SCA4", 1: "energy", 2: "dead", 3: "exposure", 4: "rate", 5: "seven", 9: "CHAN4DTFactor"}
    for scaler, name in names.items():
        assert ca.put(f"C2SCA:{scaler}:AttrName", name)[0] == 1
        assert ca.read(f"C2SCA:{scaler}:AttrName_RBV").severity == 0
        assert ca.get(f"C2SCA:{scaler}:AttrName_RBV") == name
    ca.set(C2SCA__Reset=1, C2SCA__TS__TSNumPoints=10)
    ca.begin("C2SCA:TS:TSAcquire", 1, "series")
    path = written(rig, "named", (10,), 0.002)
    file = Written(path)
    assert ca.put_status("series") == 1
    last = file.scalers(9, 1)[0]
    shown = scalers(rig, 0, 1, 2, 3, 5, 6, 9)
    expected = [last[0, 4], 7.112, file["dead_time_percent"][9, 3], 0.002, 7, last[1, 6]]
    np.testing.assert_allclose(shown, [*expected, file["dead_time_correction"][9, 3]])
    assert scalers(rig, 4) == [ca.get("C2:ICR_RBV")]
    np.testing.assert_array_equal(ca.get("C2SCA:0:TSArrayValue"), file["all_good"][:, 0])
    np.testing.assert_array_equal(ca.get("C2SCA:1:TSArrayValue"), np.full(10, 7.112))
    assert ca.get("C2SCA:0:ValueSum_RBV") == file["all_good"][:, 0].sum()
    assert ca.get("C1SCA:0:Value_RBV") == last[0, 0]


def test_a_scaler_that_nothing_is_known_of(rig, own_names):
    """It is 0, and says so; until there is something of that name."""
    ca = rig.ca
    assert ca.put("C2SCA:3:AttrName", "CHAN5SCA0")[0] == 1
    assert rig.message() == "C2SCA:3:AttrName: there is no attribute 'CHAN5SCA0' now; the scaler is 0 until there is"
    assert (ca.get("C2SCA:3:AttrName_RBV"), ca.read("C2SCA:3:AttrName_RBV").severity) == ("CHAN5SCA0", 1)
    assert rig.acquire(3) == 1
    assert scalers(rig, 3) == [0]
    assert scalers(rig, 0)[0] > 0
    ca.set(NDAttributesFile=xml('name="CHAN5SCA0" type="CONST" source="42"'))
    assert ca.read("C2SCA:3:AttrName_RBV").severity == 0
    assert rig.acquire(3) == 1
    assert scalers(rig, 3) == [42]
    ca.set(NDAttributesFile="XSP3.xml")
    assert ca.read("C2SCA:3:AttrName_RBV").severity == 1


# refusals


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("<Attributes>\n<Attribute", SYNTAX, "NDAttributesFile: line 2, column 1: unclosed token"),
        (xml('name="a" type="FUNCT" source="f"'), SYNTAX, "1 of 1 attributes are of type FUNCT (a)"),
        (xml('name="a" type="PARAM" source="ACQTIME"'), SYNTAX, "attribute 'a': there is no parameter 'ACQTIME'"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', SYNTAX, "a DTD or entity is not allowed"),
        ("nowhere.xml", NOT_FOUND, "nowhere.xml"),
        ("/dev/zero", NOT_FOUND, "/dev/zero is not a file"),
        ("/", NOT_FOUND, "/ cannot be read: Is a directory"),
        ("several\nlines", SYNTAX, "neither XML text, which begins with <, nor the name of a file"),
        ("x" * 300, NOT_FOUND, "File name too long"),
    ],
)
def test_what_is_refused(rig, text, status, said):
    """The old set stays, the record shows it, and says why."""
    ca = rig.ca
    good = xml('name="kept" type="CONST" source="1"')
    ca.set(NDAttributesFile=good)
    assert ca.put("det1:NDAttributesFile", text)[0] == REFUSED
    assert said in rig.message()
    assert ca.get("det1:NDAttributesStatus") == status
    assert ca.get("det1:NDAttributesFile") == good
    assert ca.read("det1:NDAttributesFile").severity == 3
    assert "kept" in names_in(written(rig, "refused"))
    ca.set(NDAttributesFile=good)
    assert ca.get("det1:NDAttributesStatus") == OK
    assert ca.read("det1:NDAttributesFile").severity == 0


def test_a_pipe_is_not_read(rig):
    """Nobody writes into it: who opens it to read would wait for ever."""
    os.mkfifo(rig.files / "pipe.xml")
    status, seconds = rig.ca.put("det1:NDAttributesFile", str(rig.files / "pipe.xml"))
    assert status == REFUSED
    assert seconds < 5
    assert "pipe.xml is not a file" in rig.message()


def test_a_long_file(rig):
    """More than a record can hold."""
    (rig.files / "long.xml").write_text(xml(*(f'name="a{n}" type="CONST" source="{n}"' for n in range(1000))))
    assert rig.ca.put("det1:NDAttributesFile", str(rig.files / "long.xml"))[0] == 1
    path = written(rig, "long")
    assert len(names_in(path)) == 1004
    assert read(path, "a999")[0].tolist() == [b"999"] * 4

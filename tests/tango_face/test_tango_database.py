"""With a Tango database and without: names, properties, what is memorized, Init, and how it ends."""

from __future__ import annotations

import os
import signal
import time

import pytest
from server_process import free_port
from system_desk import Desk
from tango_client import TangoClient
from tango_database import Started, TangoDatabase, wait_until

DEVICE = "test/xspress3/1"
PORTS = ("--data-port", "0", "--monitor-port", "0")
CA_PORTS = (*PORTS, "--tango-port", "0", "--no-autosave")
ALONE = "xsp3ioc.xspress3ds"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = TangoDatabase(tmp_path_factory.mktemp("database"))
    yield database
    database.stop()


@pytest.fixture
def start(tmp_path, database):
    """Start programs with the database; all end with the test."""
    started = []

    def begin(module, *arguments, environment=None):
        if module == "xsp3ioc":
            arguments = (*arguments, "--ca-port", str(free_port()))
        started.append(Started(environment or database.environment, tmp_path, module, *arguments))
        return started[-1]

    yield begin
    for one in started:
        if one.code is None:
            assert "Traceback" not in one.log, one.log
        one.end()


@pytest.fixture
def clients(database):
    """Clients of the database, in processes of their own."""
    desks = []

    def make(name):
        desks.append(Desk(TangoClient, name, environment=database.environment))
        return desks[-1]

    yield make
    for desk in desks:
        desk.end()


def without_database():
    return {name: value for name, value in os.environ.items() if name != "TANGO_HOST"}


def test_both_faces_register_and_memorize(database, start, clients, tmp_path):
    """One command, an empty database: the device is there under its name, and again after Kill."""
    server = start("xsp3ioc", "--emulate", "--tango", DEVICE, *CA_PORTS)
    assert server.name == f"tango://{database.host}/{DEVICE}"
    assert database.server_of(DEVICE) == "Xspress3DS/test-xspress3-1"
    note = "registered in the Tango database, as Xspress3DS/test-xspress3-1"
    assert note in server.banner
    client = clients(DEVICE)
    client.wait_for("STANDBY")
    assert client.write("DestinationFileName", str(tmp_path / "memorized.h5")) == ""
    assert client.write("ExposureTime", 0.5) == ""

    second = start("xsp3ioc", "--emulate", "--tango", DEVICE, *CA_PORTS)
    assert second.code == 2
    assert f"{DEVICE} is served already, by process {server.process.pid}" in second.log

    client.kill_server()
    assert server.wait() == 0
    assert not database.exported(DEVICE)

    server = start("xsp3ioc", "--emulate", "--tango", DEVICE, *CA_PORTS)
    assert note not in server.banner
    client.wait_for("STANDBY")
    assert client.get("DestinationFileName") == str(tmp_path / "memorized.h5")
    assert client.get("ExposureTime") == 0.1  # nothing else is memorized
    assert server.end() == 0
    assert not database.exported(DEVICE)


def test_properties_and_init(database, start, clients, tmp_path):
    """Alone, as a Starter starts it: its properties say all, and Init reads them again."""
    device = "b303a-a100/dia/xsp3"
    nowhere = start(ALONE, "one", *PORTS)
    assert nowhere.code == 2
    assert "Xspress3DS/one has 0 devices in the Tango database" in nowhere.log
    database.add("Xspress3DS/one", device, HeaderPath="/nowhere", ReturnCounters=True, EventWidths=[6, 7, 8, 9])
    no_library = start(ALONE, "one", *PORTS)
    assert no_library.code == 2
    assert "set the property Library to its path, or --library PATH" in no_library.log
    data = free_port()
    database.set(device, Emulate=True, StreamerPort=data, MonitorPort=0)

    server = start(ALONE, "one")
    assert f"tcp://127.0.0.1:{data}" in server.banner
    assert "Channel Access" not in server.banner
    client = clients(device)
    client.wait_for("STANDBY")
    assert client.get("nChannels") == 4  # the system was asked
    assert [client.get(f"EventWidth_Ch{channel}") for channel in range(4)] == [6, 7, 8, 9]
    assert "ReadRawCounts_Window1" in client.commands()
    assert client.get("ReadoutTime") == 2.5e-8

    for _ in range(5):
        assert client.run("Init") == ""
        assert client.state() == "STANDBY"

    database.set(device, ReturnCounters=False, EventWidths=[5, 5, 5, 5])
    assert client.run("Init") == ""
    assert "ReadRawCounts_Window1" not in client.commands()
    assert client.get("EventWidth_Ch3") == 5

    database.set(device, StreamerPort=free_port(), Channels=2, BaseIP="192.168.0.1")
    assert client.run("Init") == "Init cannot change StreamerPort, Channels, BaseIP: start the server again"
    assert client.state() == "STANDBY"
    database.unset(device, "Channels", "BaseIP", "EventWidths")
    database.set(device, StreamerPort=data)
    assert client.run("Init") == ""
    assert client.get("EventWidth_Ch3") not in (5, 9)  # the calibration's
    database.set(device, ConfigPath=str(tmp_path / "nowhere"))
    refusal = client.run("Init")
    assert refusal == f"Settings directory {tmp_path}/nowhere does not exist; set CONFIG_PATH"
    assert client.state() == "FAULT"
    assert client.status() == f"Init failed: {refusal}"
    assert client.run("Arm") == "Not connected: write 1 to CONNECT (Tango: Init)"
    database.unset(device, "ConfigPath")
    assert client.run("Init") == ""
    assert client.state() == "STANDBY"

    # In mid-run: Init ends it, and a restart finds the system as it was.
    assert client.write("DestinationFileName", str(tmp_path / "x.h5")) == ""
    assert client.write("nTriggers", 1000) == ""
    assert client.arm_and_look() == "RUNNING"
    if refusal := client.run("Init"):  # where the file takes long to close, it says so first
        assert refusal.startswith("Stop waits for the file writer")
        wait_until(lambda: client.state() != "RUNNING", "the end of the series")
        assert client.run("Init") == ""
    assert client.state() == "STANDBY"
    assert client.arm_and_look() == "RUNNING"
    assert server.end() == 0
    again = start(ALONE, "one")
    client.wait_for("STANDBY")
    assert client.arm_and_look() == "RUNNING"
    assert sorted(os.listdir(tmp_path))[:3] == ["started.log", "x.h5", "x_.h5"]
    assert again.end() == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("StreamerPort", "x", "'x' is not a whole number"),
        ("MonitorPort", 70000, "monitor_port = 70000 is outside 0..65535"),
        ("Emulate", "perhaps", "'perhaps' is neither true nor false"),
        ("Configuration", "/no/such.toml", "Cannot read /no/such.toml"),
        ("BaseIP", "nowhere", "if it is off, set the property Channels, or --channels, and Init connects it later"),
    ],
)
def test_wrong_properties_are_named(database, start, name, value, words):
    device = f"test/wrong/{name}"
    database.add(f"Xspress3DS/{name}", device, **{"Emulate": True} | {name: value})
    server = start(ALONE, name, *(() if "Port" in name else PORTS))
    assert server.code == 2
    assert words in server.log
    assert server.log.count("\n") == 1


def test_what_cannot_be_served(database, start):
    database.add("Xspress3DS/two", "test/two/1")
    database.add("Xspress3DS/two", "test/two/2")
    server = start(ALONE, "two", "--emulate")
    assert (server.code, "give test/two/2 servers of their own" in server.log) == (2, True)
    database.add("Other/x", "test/other/1", kind="Other")
    server = start("xsp3ioc", "--emulate", "--tango", "test/other/1")
    assert (server.code, "is registered as a device of class Other" in server.log) == (2, True)


def test_a_registered_device_is_served_as_its_server(database, start, clients):
    database.add("Xspress3DS/mine", "test/mine/1")
    start("xsp3ioc", "--emulate", "--tango", "test/mine/1", *CA_PORTS)
    client = clients("test/mine/1")
    client.wait_for("STANDBY")
    assert database.server_of("test/mine/1") == "Xspress3DS/mine"


def test_without_a_database(start, clients, tmp_path):
    """Whether there is one or not; with the port that Tango's own option says."""
    port = free_port()
    alone = start(
        ALONE, "x", "-nodb", "-dlist", "a/b/c", "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}", "-v2", "--emulate",
        *PORTS, environment=without_database(),
    )  # fmt: skip
    assert alone.name == f"tango://127.0.0.1:{port}/a/b/c#dbase=no"
    clients(alone.name).wait_for("STANDBY")
    taken = start(
        ALONE, "x", "-nodb", "-dlist", "a/b/c", "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}", "--emulate", *PORTS
    )
    assert (taken.code, f"Cannot serve Tango on 127.0.0.1:{port}: Address already in use" in taken.log) == (2, True)
    both = start("xsp3ioc", "--emulate", "--tango", "a/b/d", "--nodb", *CA_PORTS)
    assert both.name.endswith("/a/b/d#dbase=no")
    client = clients(both.name)
    client.wait_for("STANDBY")
    assert client.run("Init") == ""
    assert client.state() == "STANDBY"
    # Where no property says it, Init keeps to what clients have.
    assert client.write("config_path", str(tmp_path / "nowhere")) == ""
    assert f"{tmp_path}/nowhere does not exist" in client.run("Init")
    assert client.write("config_path", "") == ""
    assert client.run("Init") == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x",), "TANGO_HOST names no database"),
        (("x", "-nodb"), "-nodb needs the name of one device"),
        (("x", "-nodb", "-dlist", "a/b/c,a/b/d", "--emulate"), "-nodb needs the name of one device"),
        (("x", "-nodb", "-dlist", "nonsense", "--emulate"), "nonsense is no device name"),
        (("-nodb", "-dlist", "a/b/c"), "the name of the instance comes first"),
        (("x", "-dlist", "a/b/c"), "-dlist goes with -nodb"),
        (("x", "-ORBendPoint", "7"), "-ORBendPoint 7 is not like giop:tcp:HOST:PORT"),
        (("x", "-file=p"), "properties are in the database"),
    ],
)
def test_command_lines_that_make_no_sense(start, arguments, words):
    server = start(ALONE, *arguments, environment=without_database())
    assert (server.code, words in server.log) == (2, True), server.log


def test_its_usage_is_told(start):
    server = start(ALONE, "-?")
    assert server.code == 0
    assert server.banner.startswith("usage: Xspress3DS INSTANCE")


def test_a_database_that_is_down(start, tmp_path_factory):
    database = TangoDatabase(tmp_path_factory.mktemp("down"))
    database.stop()
    for module, arguments in ((ALONE, ("x",)), ("xsp3ioc", ("--tango", "a/b/c", *CA_PORTS))):
        server = start(module, *arguments, "--emulate", environment=database.environment)
        assert server.code == 2
        assert f"The Tango database at {database.host} does not answer: start it, or serve without" in server.log
        assert server.log.count("\n") == 1


def test_a_database_that_goes_away_harms_nobody(start, clients, tmp_path_factory):
    database = TangoDatabase(tmp_path_factory.mktemp("away"))
    server = start("xsp3ioc", "--emulate", "--tango", DEVICE, *CA_PORTS, environment=database.environment)
    client, other = (Desk(TangoClient, DEVICE, environment=database.environment) for _ in range(2))
    try:
        client.wait_for("STANDBY")
        database.stop()
        # What is to be memorized is refused by Tango itself, after it is written.
        assert client.write("WriteHdf5", False) == ""
        assert client.arm_and_look() == "RUNNING"
        assert "does not answer" in client.run("Init")
        assert client.state() == "RUNNING"
        database.start()
        # One that does not answer: others do not wait for it with the one that has to.
        assert other.state() == "RUNNING"
        database.process.send_signal(signal.SIGSTOP)
        client.be_patient(3)
        client.tell("run", "Init")
        time.sleep(0.3)
        assert other.state() == "RUNNING"
        assert not client.has_answered()
        assert client.answer() != ""
        client.be_patient(60)
        database.process.send_signal(signal.SIGCONT)
        wait_until(lambda: client.run("Init") == "", "Init")
        assert client.state() == "STANDBY"
    finally:
        client.end()
        other.end()
        database.stop()
    assert server.end() == 0


def test_without_pytango(tmp_path):
    """What to install is said; Channel Access does not need it."""
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text(
        "import sys\nsys.modules['tango'] = None\nsys.modules['tango.server'] = None\n"
    )
    environment = without_database() | {"PYTHONPATH": str(blind)}
    for module, arguments, who in (
        ("xsp3ioc", ("--emulate", "--tango", DEVICE), "--tango"),
        (ALONE, ("x", "-nodb", "-dlist", DEVICE, "--emulate"), "Xspress3DS"),
    ):
        server = Started(environment, tmp_path, module, *arguments)
        assert server.code == 2
        assert f"{who} needs PyTango: pip install 'xsp3ioc[tango]'" in server.log
        server.end()
    server = Started(environment, tmp_path, "xsp3ioc", "--emulate", "--ca-port", str(free_port()), *PORTS)
    assert server.code is None
    assert server.end() == 0



"""What cannot start says so in one line, at once, with exit code 2."""

import socket

import pytest
from cli_command import refused, xsp3ioc
from server_process import free_port


@pytest.fixture
def occupied():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_nothing_to_serve(tmp_path):
    assert "--emulate" in refused(xsp3ioc(cwd=tmp_path))


def test_both_detectors(tmp_path):
    result = xsp3ioc("--emulate", "--library", "x.so", cwd=tmp_path)
    assert result.returncode == 2
    assert "not allowed with" in result.stderr


def test_unknown_option(tmp_path):
    result = xsp3ioc("--emulat0r", cwd=tmp_path)
    assert result.returncode == 2
    assert "--emulat0r" in result.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nprefx = 'a'", "prefx"),
        ("[detector]\nchanels = 4", "chanels"),
        ("[detector]\nemulate = true\ngap = '2 us'", "gap = 2 us is none of 25 ns, 200 ns, 500 ns, 1 us"),
        ("[detector]\nemulate = true\n[server]\nexpect = ['']", "expect has an empty name"),
        ("[detector]\nemulate = true\n[server]\nlisten = 'localhost'", "listen = 'localhost' is no IPv4 address"),
        (f"[detector]\nemulate = true\n[server]\nexpect = ['{'x' * 65}']", "is longer than 64 letters"),
        ("[servr]\n", "servr"),
        ("[emulator]\nspeed = 4", "speed"),
        ("[emulator.faults]\nfial = {}", "known are fail, hang"),
        ("[emulator.faults.card_lost]\nframe = 3\nbakc = 1", "known are frame, after, card, back"),
        ("[server]\ndata_port = 70000", "data_port = 70000"),
        ("[server]\ndata_port = 'x'", "data_port"),
        ("[detector]\nchannels = 0", "channels = 0"),
        ("[detector\n", "is not TOML"),
    ],
)
def test_wrong_configuration(tmp_path, text, named):
    config = tmp_path / "my.toml"
    config.write_text(text)
    line = refused(
        xsp3ioc(
            "--emulate", "--config", config, "--ca-port", free_port(), "--monitor-port", 0,
            *(() if "data_port" in text else ("--data-port", 0)), cwd=tmp_path,
        )
    )  # fmt: skip
    assert named in line


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("frames = 0", "frames: NumImages = 0 is below 1"),
        ("exposure = 4", "exposure is no setting; known are array_callbacks, "),
        ("event_width = [1, 2]", "event_width has 2 values, not 1 or 4"),
    ],
)
def test_wrong_parameter_is_the_last_thing_said(tmp_path, text, named):
    # The detector is there already, and logs as it does for any client.
    config = tmp_path / "my.toml"
    config.write_text("[parameters]\n" + text)
    result = xsp3ioc("--emulate", "--config", config, "--data-port", 0, "--monitor-port", 0, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"xsp3ioc: [parameters]: {named}")
    assert "Traceback" not in result.stderr


LEGACY = "is of no effect without a port: add --legacy-port PORT, or legacy_port = PORT under [server]"


@pytest.mark.parametrize("how", ["parts", "messages"])
def test_images_of_a_publisher_that_there_is_not(tmp_path, how):
    ports = ("--ca-port", free_port(), "--data-port", 0, "--monitor-port", 0)
    line = refused(xsp3ioc("--emulate", "--legacy-images", how, *ports, cwd=tmp_path))
    assert line == f"xsp3ioc: legacy_images = {how} {LEGACY}"
    config = tmp_path / "my.toml"
    config.write_text(f"[server]\nlegacy_images = '{how}'")
    assert refused(xsp3ioc("--emulate", "--config", config, *ports, cwd=tmp_path)) == line


@pytest.mark.parametrize(
    ("channels", "cards", "product", "answer"),
    [
        (16, 1, "xspress3", "outside 1..9, as cards = 1 (9 per card of xspress3): write cards = 2 under [detector]"),
        (3, 1, "mini", "outside 1..2, as cards = 1 (2 per card of mini): write cards = 2 under [detector]"),
        (1, 4, "xspress3", "outside 4..36, as cards = 4 (9 per card of xspress3): write cards = 1 under [detector]"),
        (200, 1, "xspress3", "outside 1..144 (16 cards of xspress3, 9 channels each)"),
    ],
)
def test_channels_that_the_cards_do_not_have(tmp_path, channels, cards, product, answer):
    config = tmp_path / "my.toml"
    config.write_text(f"[detector]\ncards = {cards}\n[emulator]\nproduct = '{product}'")
    line = refused(
        xsp3ioc(
            "--emulate", "--channels", channels, "--config", config, "--ca-port", free_port(), "--data-port", 0,
            "--monitor-port", 0, cwd=tmp_path,
        )
    )  # fmt: skip
    assert f"channels = {channels} is {answer}" in line


def test_as_many_cards_as_it_was_told(start_server):
    start_server("--channels", "16", detector={"emulate": True, "cards": 2})


def test_no_configuration(tmp_path):
    assert "nowhere.toml" in refused(xsp3ioc("--emulate", "--config", "nowhere.toml", cwd=tmp_path))


def test_no_library_there(tmp_path):
    assert "nowhere.so" in refused(xsp3ioc("--library", "./nowhere.so", cwd=tmp_path))


def test_library_that_is_none(tmp_path):
    library = tmp_path / "libxspress3.so"
    library.write_text("no library")
    assert str(library) in refused(xsp3ioc("--library", library, cwd=tmp_path))


def test_library_without_the_functions(tmp_path):
    # A library, but of something else.
    line = refused(xsp3ioc("--library", "libc.so.6", "--data-port", 0, "--monitor-port", 0, cwd=tmp_path))
    assert "libc.so.6" in line


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_on_which_nobody_finds_the_records(tmp_path, port):
    line = refused(xsp3ioc("--emulate", "--ca-port", port, "--data-port", 0, "--monitor-port", 0, cwd=tmp_path))
    assert f"ca_port = {port} is outside 1..65535" in line


@pytest.mark.parametrize("which", ["data", "monitor"])
def test_port_in_use(tmp_path, occupied, which):
    ports = {"data": 0, "monitor": 0} | {which: occupied}
    line = refused(
        xsp3ioc(
            "--emulate", "--ca-port", free_port(), "--data-port", ports["data"], "--monitor-port", ports["monitor"],
            cwd=tmp_path,
        )
    )  # fmt: skip
    assert str(occupied) in line


def test_address_of_another_host(tmp_path):
    line = refused(
        xsp3ioc(
            "--emulate", "--listen", "192.0.2.1", "--ca-port", free_port(), "--data-port", 0, "--monitor-port", 0,
            cwd=tmp_path,
        )
    )  # fmt: skip
    assert "192.0.2.1" in line


def test_log_file_that_cannot_be(tmp_path):
    line = refused(xsp3ioc("--emulate", "--log-file", tmp_path / "no" / "log", cwd=tmp_path))
    assert "log file" in line

"""`xsp3ioc hardware-check` as its users have it: reports, exit codes, traces and their replay."""

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from cli_command import xsp3ioc
from server_process import toml

from xsp3ioc import hardware_check
from xsp3ioc.hardware_statements import STATEMENTS
from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, MissingFunction
from xsp3ioc.sdk.emulator.replay import Trace

PRODUCTS = {
    "xspress3": {"channels": 4, "cards": 2},
    "mini": {"channels": 2, "cards": 1},
    "xspress4": {"channels": 4, "cards": 1},
    "x3x2": {"channels": 4, "cards": 2},
}
MODELS = {"xspress3": "Xspress3", "mini": "Xspress3 Mini", "xspress4": "Xspress4", "x3x2": "Xspress3X Mk2"}
ASKS = re.compile(r"xsp3_(get|has|is|i2c_read|read)_\w+|xsp3_scaler_get_num_tf|xsp3_\w*[gG]etDeadtime\w+")


ON_A_QUIET_HOST = {"gap": "ok"}
"""Not testable where these tests share their processors; a replay has the calls' times, which scatter less or more."""


def configuration(directory, detector=None, **emulator):
    path = directory / "check.toml"
    path.write_text(toml({"detector": {"emulate": True} | (detector or {}), "emulator": emulator}))
    return path


def faults(directory, **found):
    return configuration(directory, faults=found)


def check(directory, *arguments, **options):
    return xsp3ioc("hardware-check", *arguments, cwd=directory, **options)


def outcomes(text):
    """Outcome of each statement in a report, by its name."""
    rows = re.findall(r"^\| (ok|DIFFERS|not testable) \| [\d.]+ \| (\S+) \|", text, re.MULTILINE)
    return {key: outcome for outcome, key in rows}


def functions(trace):
    return [call.f for _, call in Trace(trace).calls]


RUNS = {product: (detector, {"product": product}) for product, detector in PRODUCTS.items()} | {
    # The clock says that it is slower than it is: all exposures are too short, by the host's clock.
    "other clock": ({}, {"faults": {"clock_period": 20e-9}}),
    "failing arm": ({}, {"faults": {"fail": {"xsp3_histogram_arm": 1}}}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A directory for each of `RUNS`, with report and trace, and the exit codes; they mostly wait, so all at once."""
    found, processes = {}, {}
    for product, (detector, emulator) in RUNS.items():
        directory = found[product] = tmp_path_factory.mktemp(product.replace(" ", "_"))
        command = ["--config", configuration(directory, detector, **emulator), "--run"]
        command += ["--report", "report.md", "--trace", "trace.jsonl"]
        with (directory / "out").open("wb") as output:
            processes[product] = subprocess.Popen(
                [sys.executable, "-m", "xsp3ioc", "hardware-check", *map(str, command)],
                cwd=directory, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
    try:
        codes = {product: process.wait(300) for product, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
    return found, codes


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_is_as_expected(runs, product):
    directory, code = runs[0][product], runs[1][product]
    output = (directory / "out").read_text()
    assert code == 0, output
    report = (directory / "report.md").read_text()
    found = outcomes(report)
    assert list(found) == [statement.key for statement in STATEMENTS]
    assert "DIFFERS" not in found.values()
    assert list((found | ON_A_QUIET_HOST).values()).count("ok") >= 28
    assert f"| model | {MODELS[product]} |" in report
    assert "0 DIFFERS" in output
    assert "open an issue of this project with report.md and trace.jsonl" in " ".join(output.split())
    called = functions(directory / "trace.jsonl")
    assert called[0] == "xsp3_config"
    assert called[-2:] == ["xsp3_histogram_stop", "xsp3_close"]


@pytest.mark.parametrize("part", [0.02, 0.6, 0.99])
def test_a_trace_that_was_cut_between_lines_is_no_healthy_one(runs, tmp_path, part):
    found = (runs[0]["mini"] / "trace.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_bytes(b"".join(found[: int(part * len(found))]))
    result = check(tmp_path, "--replay", "cut.jsonl", "--report", "report.md")
    assert result.returncode == 1, result.stderr
    last = " ".join(result.stdout.split()[-40:])
    assert "The trace has no end: the program that wrote it was killed, or it was cut." in last
    report = (tmp_path / "report.md").read_text()
    assert "| end | MISSING |" in report and "DIFFERS" not in outcomes(report).values()


@pytest.mark.parametrize("function", ["xsp3_config", "xsp3_get_revision"])
def test_the_trace_of_a_hung_call_names_it_last(tmp_path, function):
    config = faults(tmp_path, hang={function: [1, 600.0]})
    assert check(tmp_path, "--config", config, "--patience", "4", "--trace", "trace.jsonl").returncode == 2
    result = check(tmp_path, "--replay", "trace.jsonl")
    assert (result.returncode, result.stderr) == (1, "")
    assert " ".join(result.stdout.split()).endswith(f"These were entered and never returned: {function}.")
    assert f"{function} was entered and never returned" in " ".join(result.stdout.split())
    assert "was called 0 times" not in result.stdout


@pytest.mark.parametrize("product", ["mini", "xspress4"])
def test_a_replay_comes_to_the_same(runs, tmp_path, product):
    directory = runs[0][product]
    result = check(tmp_path, "--replay", directory / "trace.jsonl", "--report", "replayed.md")
    assert result.returncode == 0, result.stdout + result.stderr
    report = (tmp_path / "replayed.md").read_text()
    assert "| end | complete |" in report and "no end" not in report
    replayed, lived = outcomes(report), outcomes((directory / "report.md").read_text())
    assert replayed | ON_A_QUIET_HOST == lived | ON_A_QUIET_HOST
    assert "DIFFERS" not in replayed.values()
    assert re.search(r"\| xsp3_config \| 1 \| 0 \| [\d.]+ \| [\d.]+ \|", report)
    assert f"| model | {MODELS[product]} |" in report


def test_looking_only_asks(tmp_path):
    result = check(tmp_path, "--emulate", "--report", "report.md", "--trace", "trace.jsonl")
    assert (result.returncode, result.stderr) == (0, "")
    first, *rest, last = functions(tmp_path / "trace.jsonl")
    assert (first, last) == ("xsp3_config", "xsp3_close")
    assert [name for name in rest if not ASKS.fullmatch(name)] == []
    report = (tmp_path / "report.md").read_text()
    for heading in ("Host", "Network", "Functions", "System"):
        assert f"## {heading}\n" in report
    for value in ("| channels | 4 of 4 |", "detector 0, major 2 (Xspress3), minor 7", "| card 0: clock | 12.5000 ns |"):
        assert value in report
    assert re.search(r"net\.core\.rmem_max \| \d+", report)
    words = " ".join(result.stdout.split())
    assert words.index("xsp3_config connects, which initialises the cards") < words.index("12.5000 ns")
    assert "only asked" in words


def test_not_connecting_calls_nothing(tmp_path):
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "chan0.dat").touch()
    options = ("--no-connect", "--settings", "settings", "--trace", "trace.jsonl")
    result = check(tmp_path, "--emulate", *options)
    assert (result.returncode, result.stderr) == (0, "")
    assert functions(tmp_path / "trace.jsonl") == []
    assert "1, e.g. chan0.dat" in result.stdout
    assert "Not connected" in result.stdout


def test_a_difference_is_exit_code_1(runs):
    directory, code = runs[0]["other clock"], runs[1]["other clock"]
    assert code == 1
    found = outcomes((directory / "report.md").read_text())
    assert found["period"] == "DIFFERS"
    assert found["status"] == found["wrap"] == found["refusals"] == "ok"
    assert "50.000 MHz said" in (directory / "out").read_text()


def test_a_failing_function_does_not_end_the_check(runs):
    directory, code = runs[0]["failing arm"], runs[1]["failing arm"]
    assert code == 1
    found = outcomes((directory / "report.md").read_text())
    assert [key for key, outcome in found.items() if outcome == "DIFFERS"] == ["software"]
    assert functions(directory / "trace.jsonl")[-2:] == ["xsp3_histogram_stop", "xsp3_close"]


def test_what_cannot_be_told_is_a_difference(tmp_path):
    config = faults(tmp_path, fail={"xsp3_get_revision": 1})
    result = check(tmp_path, "--config", config)
    assert result.returncode == 1
    assert "xsp3_get_revision: " in result.stdout
    assert "card 0: clock" in result.stdout


def test_nobody_answers(tmp_path):
    result = check(tmp_path, "--config", faults(tmp_path, config_refused=1), "--report", "report.md")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("xsp3ioc hardware-check: xsp3_config: ")
    assert "(status -9)" in line
    assert "## Host" in (tmp_path / "report.md").read_text()


def test_a_call_that_does_not_return_is_given_up(tmp_path):
    config = faults(tmp_path, hang={"xsp3_itfg_setup": [2, 600.0]})  # longer than the command may take here
    options = ("--run", "--patience", "4", "--report", "report.md", "--trace", "trace.jsonl")
    result = check(tmp_path, "--config", config, *options)
    assert result.returncode == 2
    assert "xsp3_itfg_setup has not come back for 4 s;" in (tmp_path / "report.md").read_text()
    assert "xsp3_itfg_setup has not come back for 4 s;" in result.stdout
    assert Trace(tmp_path / "trace.jsonl").unreturned == ["xsp3_itfg_setup"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_stops_the_detector(tmp_path, signum):
    trace = tmp_path / "trace.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "xsp3ioc", "hardware-check", "--emulate", "--run", "--trace", str(trace)],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not trace.exists() or '"xsp3_histogram_start"' not in trace.read_text():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (2, "xsp3ioc hardware-check: interrupted\n")
    assert functions(trace)[-2:] == ["xsp3_histogram_stop", "xsp3_close"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "Say what to serve: --emulate"),
        (["--library", "/nowhere/libxspress3.so"], "cannot load /nowhere/libxspress3.so: no such file"),
        (["--emulate", "--trace", "nowhere/trace"], "Cannot write the trace nowhere/trace: No such file"),
        (["--emulate", "--frames", "0"], "ring_frames = 0 is outside"),
        (["--emulate", "--run", "--settings", "nowhere"], "xsp3_restore_settings: "),
        (["--replay", "nothing.jsonl"], "cannot read nothing.jsonl: No such file"),
        (["--replay", "check.toml"], "check.toml line 1: "),
        (["--config", "check.toml"], 'only pace = "clock"'),
    ],
)
def test_what_cannot_be_run_says_why(tmp_path, arguments, message):
    configuration(tmp_path, pace="reader")
    result = check(tmp_path, *arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("xsp3ioc hardware-check: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("report", ["nowhere/r.md", "."])
def test_a_report_that_cannot_be_written_is_refused_first(tmp_path, report):
    result = check(tmp_path, "--emulate", "--run", "--report", report, "--trace", "trace.jsonl")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"xsp3ioc hardware-check: Cannot write the report {report}: ")
    assert result.stdout == ""
    assert not (tmp_path / "trace.jsonl").exists()


def test_a_report_that_is_lost_later_is_a_failure(tmp_path, monkeypatch, capsys):
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "r.md"

    def check(_configuration, _options, report):
        file.unlink()
        file.parent.rmdir()
        report.note("This cannot be written.")
        return 0

    monkeypatch.setattr(hardware_check, "_check", check)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert hardware_check.main(["--emulate", "--report", str(file)]) == 2
    assert f"cannot write {file}: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--replay", "--trace"])
def test_a_report_does_not_overwrite_a_trace(tmp_path, option):
    (tmp_path / "trace.jsonl").write_text("precious")
    source = [] if option == "--replay" else ["--emulate"]
    result = check(tmp_path, *source, option, "trace.jsonl", "--report", "./trace.jsonl")
    assert result.returncode == 2
    assert f"--report ./trace.jsonl would overwrite the file of {option}" in result.stderr
    assert (tmp_path / "trace.jsonl").read_text() == "precious"


def test_a_trace_cannot_write_to_the_terminal(tmp_path):
    (tmp_path / "trace.jsonl").write_text(
        '{"line":"trace","format":1,"xsp3ioc":"\\u001b]0;x\\u0007","library":"[red]\\u001b[2J|x"}\n'
        '{"line":"call","n":0,"t":0,"dt":0,"thread":"","f":"xsp3_config","r":-1,"error":"a\\u001b[31m\\nb"}\n'
        '{"line":"end","calls":1}\n'
    )
    result = check(tmp_path, "--replay", "trace.jsonl", "--report", "report.md")
    assert result.returncode == 2
    report = (tmp_path / "report.md").read_text()
    for text in (result.stdout, result.stderr, report):
        assert "\x1b" not in text and "\x07" not in text
    assert "[red]" in result.stdout
    assert r"[2J\|x" in report


def test_a_trace_of_absurd_numbers(tmp_path):
    config = '{"line":"call","n":0,"t":0,"dt":0,"thread":"","f":"xsp3_config","r":0}\n'
    header = '{"line":"trace","format":1,"xsp3ioc":"","library":""}\n'
    channels = config.replace("xsp3_config", "xsp3_get_num_chan").replace('"n":0', '"n":1')
    channels = channels.replace('"r":0', '"r":2000000000')
    cards = config.replace("xsp3_config", "xsp3_get_num_cards").replace('"n":0', '"n":2')
    end = '{"line":"end","calls":3}\n'
    (tmp_path / "trace.jsonl").write_text(header + config + channels + cards + end)
    result = check(tmp_path, "--replay", "trace.jsonl")
    assert result.returncode == 2
    assert "2000000000 channels" in result.stderr


def test_a_servers_trace_can_be_replayed(start_server, tmp_path):
    server = start_server("--trace", str(tmp_path / "server.jsonl"))
    server.wait_for_log("Connected to")
    assert server.stop() == 0
    assert functions(tmp_path / "server.jsonl")[0] == "xsp3_config"
    result = check(tmp_path, "--replay", "server.jsonl", "--report", "report.md")
    report = (tmp_path / "report.md").read_text()
    assert "| command | server |" in report
    assert "| model | Xspress3 |" in report
    assert re.search(r"\| xsp3_format_run \| \d+ \| 0 \|", report)
    assert "is not in the trace" in report
    assert result.returncode == 1


class Older(EmulatedLibrary):
    """An emulator of a library that lacks functions."""

    absent = frozenset({"xsp3_scaler_check_progress_details", "xsp3_get_features", "xsp3_set_roi"})

    def has(self, name):
        return name not in self.absent and super().has(name)

    def __getattribute__(self, name):
        if name not in Older.absent:
            return super().__getattribute__(name)

        def missing(*_):
            raise MissingFunction(name, "an older library")

        return missing


def test_an_older_library(tmp_path, monkeypatch, capsys):
    @contextmanager
    def older(*_, **__):
        yield Older(EmulatorSettings())

    monkeypatch.setattr(hardware_check, "open_library", older)
    previous = signal.getsignal(signal.SIGTERM)
    try:
        code = hardware_check.main(["--emulate", "--report", str(tmp_path / "report.md")])
    finally:
        signal.signal(signal.SIGTERM, previous)
    report = (tmp_path / "report.md").read_text()
    assert "115 of the 117 functions" in report
    assert "| card 0: features | not told: an older library does not have this function" in report
    assert "| xsp3_set_roi | regions of the spectrum |" in report
    assert code == 0, capsys.readouterr().out

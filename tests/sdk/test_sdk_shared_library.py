"""The emulator as a libxspress3.so: what it exports, and programs that know nothing of Python."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Xspress3, expected_frames, load, timed_frame
from xsp3ioc.sdk.cdef import constants, prototypes
from xsp3ioc.sdk.emulator import build as building
from xsp3ioc.sdk.emulator import system
from xsp3ioc.sdk.emulator.settings_file import VARIABLE, UnusableSettingsError, read_settings_file

SOURCES = Path(__file__).parent
WINDOWS = ((100, 900), (0, 4095))
TICKS = 80_000
EXTRA = {"Xsp3Sys", "xsp3ioc_emulated"}
NOT_OF_THE_LIBRARY = {
    "XSPRESS3_H": 1,
    "XSP3M_CC2_SEND_RESET_WIDTHS": 0x1000,
    "XSP3_GLOB_TIMA_F0_INV": 1 << 3,
    "XSP3_GLOB_TIMA_VETO_INV": 1 << 4,
    "XSP3_GLOB_TIMA_LOOP_IO": 1 << 7,
}


def weighted(words):
    """The sum of words, each multiplied by its place, as the programs work it out."""
    flat = words.ravel().astype(np.uint64)
    return int((flat * np.arange(1, flat.size + 1, dtype=np.uint64)).sum())


def per_channel(settings, frames):
    mca, _ = expected_frames(settings, TICKS, 0, frames)
    return [[str(weighted(mca[:, channel]))] for channel in range(settings.channels)]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# What is exported


def test_exports_are_the_declared_functions(built):
    lines = output("nm", "-D", "--defined-only", built / "libxspress3.so").splitlines()
    assert {line.split()[-1] for line in lines} == prototypes().keys() | EXTRA


def test_exports_have_the_declared_signatures(compile_program, run_program, tmp_path):
    lines = ['#include <stdio.h>', '#include "xspress3.h"', "int main(void) { int found = 0;"]
    for prototype in prototypes().values():
        pointer = f"{prototype.result} (*p)({prototype.parameter_text})"
        lines.append(f"{{ {pointer} = {prototype.name}; found += p != NULL; }}")
    source = tmp_path / "signatures.c"
    source.write_text("\n".join([*lines, 'printf("%d\\n", found); return 0; }\n']))
    # That a function is never NULL is what gcc would say of the comparison.
    assert run_program(compile_program(source, "gcc", "c99", "-Wno-address")) == [[str(len(prototypes()))]]


def test_the_names_that_programs_are_linked_to(built):
    for name in ("libxspress3.so", "libimg_mod.so"):
        assert f"Library soname: [{name}]" in output("readelf", "-d", built / name)
    assert output("nm", "-D", "--defined-only", built / "libimg_mod.so") == ""
    assert "Shared library: [libpython3" in output("readelf", "-d", built / "libxspress3.so")


# The header


@pytest.mark.parametrize(
    "compiler, standard, flags, close",
    [
        ("gcc", "c99", [], "xsp3_close(0)"),
        ("gcc", "c99", ["-DXSP3_CLOSE_TWO_ARGUMENTS"], "xsp3_close(0, Xsp3UnlinkAll)"),
        ("gcc", "gnu17", [], "xsp3_close(0)"),
        ("g++", "c++11", [], "xsp3_close(0) + xsp3_close(0, Xsp3UnlinkAll)"),
        ("g++", "c++17", [], "xsp3_close(0)"),
    ],
)
def test_the_header_compiles(compile_program, run_program, tmp_path, compiler, standard, flags, close):
    source = tmp_path / ("program.c" if compiler == "gcc" else "program.cpp")
    source.write_text(
        '#include "xspress3.h"\n#include "xspress3.h"\n'
        "int main(void) { u_int32_t word = XSP3_FORMAT_PILEUP_REJECT; Xsp3Init init = Xsp3Init_Normal;\n"
        f"return word >> 31 == 1 && init == 1 && {close} < 0 && XSP3_OK == 0 ? 0 : 1; }}\n"
    )
    assert run_program(compile_program(source, compiler, standard, *flags)) == []


def test_another_form_of_close_does_not_compile(built, tmp_path):
    source = tmp_path / "program.c"
    source.write_text('#include "xspress3.h"\nint main(void) { return xsp3_close(0, Xsp3UnlinkAll); }\n')
    result = subprocess.run(
        ["gcc", f"-I{built}", "-c", "-o", "/dev/null", source], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0 and "too many arguments" in result.stderr


def test_constants_are_lines_with_literal_values(built):
    text = (built / "xspress3.h").read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if "#define" in line]
    found = {}
    for line in lines:
        assert line.startswith("#define ")
        _define, name, value = line.split()
        assert re.fullmatch(r"\w+", name) and re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", value), line
        found[name] = int(value, 0)
    assert found == {name: int(value, 0) for name, value in constants().items()} | NOT_OF_THE_LIBRARY


def test_members_are_where_the_newest_public_header_has_them(compile_program, run_program):
    found = {name: int(value) for name, value in run_program(compile_program(SOURCES / "layout.c", "gcc", "c99"))}
    assert found == {
        "XSP3Path": 12648, "histogram[1]-histogram[0]": 656, "type": 8, "valid": 12, "sub_path": 20, "num_cards": 92,
        "num_chan": 96, "histogram": 344, "run_flags": 12000, "features": 12040, "features.generation": 12040 + 28,
        "buffer": 32, "dropped_frames": 208, "cur_tf_ext": 256, "Xsp3Sys": 34, "Xspress3_TriggerB": 108,
        "Xspress3_features": 64, "Xsp3TFStatus": 24, "Xsp3Timing": 44, "ChannelDTC": 72, "Xsp3CShrControl": 52,
    }  # fmt: skip


# Programs


@pytest.fixture(scope="module")
def acquire(compile_program):
    return compile_program(SOURCES / "acquire.c")


@pytest.mark.parametrize(
    "frames, settings",
    [
        (60, EmulatorSettings(seed=3)),
        (200, EmulatorSettings(pace="reader", count_rate=(1e5, 2e5, 3e5, 4e5, 5e5, 6e5), channels=6)),
        (200, EmulatorSettings(pace="reader", product="mini", channels=2)),
        (200, EmulatorSettings(pace="reader", product="xspress4", channels=8, cards=2)),
    ],
    ids=["real time", "xspress3", "mini", "xspress4"],
)
def test_a_program_acquires(acquire, run_program, tmp_path, frames, settings):
    found = run_program(acquire, settings.cards, frames, TICKS, tmp_path, settings=settings)
    expected = expected_frames(settings, TICKS, 0, frames, good_threshold=70, windows=WINDOWS)
    assert found == [[str(settings.channels), *(str(weighted(words)) for words in expected)]]


@pytest.mark.parametrize(
    "settings",
    [
        EmulatorSettings(pace="reader"),
        EmulatorSettings(pace="reader", product="xspress4", channels=6, cards=2),
    ],
    ids=["one card", "two cards"],
)
def test_a_program_copies_from_the_librarys_memory(compile_program, run_program, settings):
    program = compile_program(SOURCES / "memory.cpp", "g++", "c++11")
    assert run_program(program, settings.cards, 200, settings=settings) == per_channel(settings, 200)


def test_the_example_of_the_page(compile_program, run_program, tmp_path):
    page = (SOURCES.parents[1] / "docs" / "emulator.md").read_text()
    (example,) = re.findall(r"^```c\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    source, settings = tmp_path / "example.c", EmulatorSettings(channels=2)
    source.write_text(example)
    mca, _ = expected_frames(settings, 8_000_000, 0, 1)
    said = f"2 channels, {mca[0, 0].sum()} counts in the first"
    assert run_program(compile_program(source, "gcc", "c99"), settings=settings) == [said.split()]


def test_what_the_page_calls_not_emulated():
    page = (SOURCES.parents[1] / "docs" / "emulator.md").read_text()
    told = set(re.findall(r"`(xsp3\w+)`", page.split('"not emulated": ')[1].split(".\n")[0]))
    assert told == {name for name in prototypes() if getattr(EmulatedLibrary, name).__qualname__ == name}


def test_threads_read_channels_of_their_own(compile_program, run_program):
    program, settings = compile_program(SOURCES / "threads.c"), EmulatorSettings(pace="reader", ahead=64)
    assert run_program(program, 512, settings=settings) == per_channel(settings, 512)


def test_empty_strings_stand_for_null(compile_program, run_program):
    settings = EmulatorSettings(seed=5)
    lines = run_program(compile_program(SOURCES / "strings.c"), 4, settings=settings)
    assert len(lines) == 4
    for frame, (ticks, total) in enumerate(lines):
        assert int(ticks) >= 160_000  # 2 ms of sleep
        mca, _ = timed_frame(settings, int(ticks), frame)
        assert int(total) == weighted(mca)


def test_a_python_program_with_ctypes(built):
    settings = EmulatorSettings()
    found = json.loads(output(sys.executable, SOURCES / "sdk_ctypes_client.py", built, "5"))
    mca, scalers = expected_frames(settings, TICKS, 0, 5)
    assert found["totals"] == [[int(mca[frame].sum()), int(scalers[frame].sum())] for frame in range(5)]
    assert (found["generation"], found["channels"], found["fit"]) == (0, 4, 16384)
    assert found["widths"] == [settings.event_width] * 4
    assert "channel 4 is outside 0..3" in found["refusal"]
    assert found["constants"] == {name: int(value, 0) for name, value in constants().items()} | NOT_OF_THE_LIBRARY


def test_a_program_opens_the_library_for_itself_only(compile_program, run_program, built):
    program = compile_program(SOURCES / "opened.c", "gcc", "c99", "-ldl")
    library = built / "libxspress3.so"
    assert run_program(program, library) == [["4"]]
    # Nothing that Python would look at leads it astray.
    wrong = {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "PATH": "/nonexistent", "LC_ALL": "C"}
    assert run_program(program, library, settings=EmulatorSettings(channels=7), **wrong) == [["7"]]


def test_a_library_that_cannot_start_python_says_so(compile_program, run_program, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_PACKAGES", tmp_path)
    monkeypatch.setattr(building, "_places", list)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    library, _, _ = building.build(tmp_path / "made")
    program = compile_program(SOURCES / "opened.c", "gcc", "c99", "-ldl")
    said = run_program(program, library, status=1)
    assert "cannot start the emulator: ModuleNotFoundError: No module named 'xsp3ioc'" in said


# Settings


@pytest.mark.parametrize(
    "text, message",
    [
        ("chanels = 3", "Object contains unknown field `chanels`; known are product, channels"),
        ("channels = 'x'", r"Expected `int`, got `str` - at `\$.channels`"),
        ("channels = 99", "channels = 99 is outside 1..9"),
        ("channels = ", "is not TOML"),
        ("[emulator]\nseed = -1", r"\[emulator\]: seed"),
        ("channels = 3\n[emulator]\nseed = 1", r"channels outside of \[emulator\]"),
    ],
)
def test_a_wrong_file_refuses_the_connection(opened, tmp_path, monkeypatch, text, message):
    path = tmp_path / "my.toml"
    path.write_text(text)
    monkeypatch.setenv(VARIABLE, str(path))
    opened.xsp3_close(0)
    with pytest.raises(Exception, match=message) as caught:
        Xspress3.configure(opened)
    assert caught.value.status == -11 and str(path) in caught.value.message
    with pytest.raises(UnusableSettingsError, match=message):
        read_settings_file(str(path))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(Exception, match="Cannot read .*none.toml: No such file"):
        Xspress3.configure(opened)
    monkeypatch.delenv(VARIABLE)
    with Xspress3.configure(opened) as handle:
        assert handle.channels == 4


def test_the_file_is_read_at_each_connection(opened, tmp_path, monkeypatch):
    path = tmp_path / "my.toml"
    monkeypatch.setenv(VARIABLE, str(path))
    opened.xsp3_close(0)
    for text, channels in (
        ("channels = 3", 3),
        ("[emulator]\nproduct = 'mini'\nchannels = 2", 2),
        ("[detector]\nchannels = 6\nemulate = true\n[emulator]\nseed = 3\n[server]\nprefix = 'X:'", 6),
        ("", 4),
    ):
        path.write_text(text)
        with Xspress3.configure(opened) as handle:
            assert handle.channels == channels
            path.write_text("channels = 5")
            assert Xspress3.configure(opened).channels == channels  # the same system, initialised again


def test_a_fault_that_comes_later_comes(opened, tmp_path, monkeypatch):
    path = tmp_path / "my.toml"
    path.write_text("[faults]\nconfig_refused = 2")
    monkeypatch.setenv(VARIABLE, str(path))
    opened.xsp3_close(0)
    for _ in range(2):
        with pytest.raises(Exception, match="does not answer"):
            Xspress3.configure(opened)
    Xspress3.configure(opened).close()


# In this process, and in the server


def test_it_says_that_it_is_emulated(opened, built):
    assert opened.simulated and load(built / "libxspress3.so").simulated
    with Xspress3.configure(opened) as handle:
        assert handle.simulated and handle.library_name == str(built / "libxspress3.so")


def test_our_own_errors_are_refusals(opened, monkeypatch, caplog):
    def broken(*_arguments):
        raise ZeroDivisionError("as it were")

    opened.xsp3_close(0)
    handle = Xspress3.configure(opened)
    monkeypatch.setattr(system.System, "stop", broken)
    with pytest.raises(Exception, match="xsp3_histogram_stop: ZeroDivisionError: as it were"):
        handle.stop()
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    handle.close()


def test_the_server_runs_on_it(start_server, built, tmp_path, monkeypatch):
    path = tmp_path / "emulator.toml"
    path.write_text("channels = 3")
    monkeypatch.setenv(VARIABLE, str(path))
    server = start_server(detector={"library": str(built / "libxspress3.so"), "channels": 3})
    code = f"import epics; print(epics.caget('{server.prefix}det1:Model_RBV'))"
    found = subprocess.run(
        [sys.executable, "-c", code], env=server.environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert found.stdout.strip() == "Xspress3 (emulated)"


# The command


def emulator(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "emulator", *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_builds(tmp_path):
    result = emulator("build", "--output", tmp_path / "deep" / "sdk", **os.environ)
    assert result.returncode == 0 and result.stderr == ""
    names = ["libxspress3.so", "libimg_mod.so", "xspress3.h"]
    assert result.stdout.splitlines()[:3] == [str(tmp_path / "deep" / "sdk" / name) for name in names]
    assert sorted(path.name for path in (tmp_path / "deep" / "sdk").iterdir()) == sorted(names)


def test_the_command_says_what_is_missing(tmp_path):
    result = emulator("build", "--output", tmp_path, PATH="/nonexistent")
    assert result.returncode == 2
    assert result.stderr == (
        "xsp3ioc emulator: there is no gcc: install the C compiler (Debian: gcc libc6-dev; Red Hat: gcc)\n"
    )


def test_the_command_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    result = emulator("build", "--output", tmp_path / "file", **os.environ)
    assert result.returncode == 2
    assert result.stderr == f"xsp3ioc emulator: cannot write to {tmp_path / 'file'}: File exists\n"


def test_headers_and_shared_python_are_needed(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
        with pytest.raises(building.BuildError, match=r"there is no Python.h in .*: install the headers of Python 3"):
            building.build(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(sysconfig, "get_config_var", lambda name: None)
        patch.setattr(sys, "base_prefix", str(tmp_path))
        with pytest.raises(building.BuildError, match=r"has no shared libpython3.*: install it"):
            building.build(tmp_path)


def test_a_failing_compiler_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_DATA", tmp_path)
    (tmp_path / "shared_library.c").write_text("#error no such thing\n")
    with pytest.raises(building.BuildError, match="gcc failed: .*no such thing"):
        building.build(tmp_path / "made")

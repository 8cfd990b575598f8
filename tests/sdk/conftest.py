"""The emulator as a real shared library, built once, and programs compiled against it."""

import os
import subprocess

import msgspec
import pytest
from sdk_bench import CIRCULAR
from server_process import toml

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Xspress3, load
from xsp3ioc.sdk.emulator.build import build
from xsp3ioc.sdk.emulator.settings_file import VARIABLE

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The directory of libxspress3.so, libimg_mod.so and xspress3.h."""
    directory = tmp_path_factory.mktemp("libxspress3")
    build(directory)
    return directory


@pytest.fixture(scope="session")
def compile_program(built, tmp_path_factory):
    """Compile a source beside this file, or a text, into a program that is linked to the library."""

    def compiled(source, compiler="gcc", standard="gnu11", *flags):
        path = tmp_path_factory.mktemp("program") / "program"
        subprocess.run(
            [compiler, f"-std={standard}", "-O2", *STRICT, f"-I{built}", "-o", path, source, *flags,
             f"-L{built}", "-lxspress3", "-lpthread", f"-Wl,-rpath,{built}"],
            check=True, timeout=120,
        )  # fmt: skip
        return path

    return compiled


def settings_file(directory, settings):
    """Write the settings as a program's user would; returns the path."""
    path = directory / f"emulator{len(list(directory.glob('emulator*.toml')))}.toml"
    chosen = {
        name: value for name, value in msgspec.to_builtins(settings).items() if value != getattr(DEFAULTS, name)
    }
    path.write_text(toml({"emulator": without_none(chosen)}))
    return path


DEFAULTS = EmulatorSettings()


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return [without_none(one) for one in value] if isinstance(value, list | tuple) else value


@pytest.fixture
def run_program(tmp_path):
    """Run a program with emulator settings, and nothing else in its environment; returns its output's words by line."""

    def run(program, *arguments, settings=None, status=0, **environment):
        if settings is not None:
            environment[VARIABLE] = str(settings_file(tmp_path, settings))
        result = subprocess.run(
            [program, *map(str, arguments)], env=environment, cwd="/", capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert result.returncode == status, (result.returncode, result.stderr)
        return result.stderr if status else [line.split() for line in result.stdout.splitlines()]

    return run


@pytest.fixture(scope="session")
def opened(built):
    """The shared library in this process."""
    return load(built / "libxspress3.so")


@pytest.fixture(params=["object", "shared"])
def library(request, tmp_path_factory, monkeypatch):
    """Make a library of settings: the Python object itself, or the shared library through dlopen."""
    if request.param == "object":
        yield EmulatedLibrary
        return
    shared = request.getfixturevalue("opened")
    directory = tmp_path_factory.mktemp("settings")

    def make(settings):
        monkeypatch.setenv(VARIABLE, os.fspath(settings_file(directory, settings)))
        shared.xsp3_close(0)  # settings are read with nothing open
        return shared

    yield make
    shared.xsp3_close(0)


@pytest.fixture
def connected(library):
    """Connect on the real clock; returns the handle, the library and its settings."""

    def connect(*, frames=64, flags=CIRCULAR, **fields):
        settings = msgspec.convert(fields, EmulatorSettings)
        made = library(settings)
        handle = Xspress3.configure(made, cards=settings.cards, frames=frames)
        handle.set_run_flags(flags)
        handle.format()
        return handle, made, settings

    return connect

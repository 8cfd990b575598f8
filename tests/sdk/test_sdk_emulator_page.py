"""What docs/emulator.md tells the authors of programs to type."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DIRECTORY = "/opt/xspress3-emulated"
PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
SECTION = PAGE.split("## Your own program against it\n")[1].split("\n## ")[0]


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


@pytest.fixture
def directory(built, tmp_path):
    """A directory with what the page's commands need."""
    (tmp_path / "my.toml").write_text(blocks("toml")[0])
    for name in ("example.c", "example.cpp"):
        (tmp_path / name).write_text(blocks("c")[0])
    return tmp_path


def shell(command, directory, built):
    return subprocess.run(
        ["sh", "-e", "-c", command.replace(DIRECTORY, str(built))],
        cwd=directory, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_lines_that_compile_and_run(directory, built, compiler):
    (command,) = (block for block in blocks("") if block.startswith(compiler))
    result = shell(command, directory, built)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"2 channels, \d{5} counts in the first\n", result.stdout)


def test_the_settings_have_the_fault(directory, built):
    (command,) = (block for block in blocks("") if block.startswith("gcc"))
    source = directory / "example.c"
    before, after = source.read_text().split("return xsp3_close(path);")
    source.write_text(f"{before}return xsp3_histogram_stop(path, -1) == XSP3_ERROR ? 3 : 4;{after}")
    assert shell(command, directory, built).returncode == 3


def test_a_wrong_file_is_told(directory, built):
    (directory / "my.toml").write_text("channels = 77")
    (command,) = (block for block in blocks("") if block.startswith("gcc"))
    result = shell(command, directory, built)
    assert result.returncode == 1 and "my.toml: channels = 77 is outside 1..9" in result.stderr


def test_the_lines_of_python(directory, built):
    (code,) = blocks("python")
    environment = os.environ | {"XSP3IOC_EMULATOR": str(directory / "my.toml")}
    result = subprocess.run(
        [sys.executable, "-c", code.replace(DIRECTORY, str(built))],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (result.stdout, result.returncode) == ("2 channels\n", 0), result.stderr

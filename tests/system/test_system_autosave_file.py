"""The file of saved settings: whole at every moment, with older copies, and never another's."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from xsp3ioc.autosave_file import COPIES, SettingsFile

PREFIX = "T{x}:a/b"


def settings_file(directory, prefix=PREFIX):
    return SettingsFile(directory, prefix, simulated=False)


def save(directory, number):
    """As a server does that changes one setting in its life."""
    file = settings_file(directory)
    file.load()
    assert file.save({"number": number}, {})
    return file.path


def copies(path):
    found = [path, *(path.parent / f"{path.name}.{number}" for number in range(1, COPIES + 2))]
    return [file.read_text().partition('"number" = ')[2].split()[0] if file.exists() else None for file in found]


VALUES = {
    "det1:AcquireTime": 1e-06,
    "det1:NumImages": 16777215,
    "HDF1:FileName": 'é "quoted" \\ [x] # \x7f',
    "C1:EnergyOffset": -0.1,
    "HDF1:Overwrite": True,
    "Proc1:Coefficients": [1.0, 2.5e300],
}


def test_what_is_saved_comes_back(tmp_path):
    file = settings_file(tmp_path / "new" / "state")
    assert file.load().settings is None
    assert file.save(VALUES, {"C1:EventWidth": 6.0})
    # One line per value, so that one change is one line of a diff.
    lines = file.path.read_text().splitlines()
    assert sum(line.startswith('"') for line in lines) == len(VALUES) + 1
    found = settings_file(tmp_path / "new" / "state").load()
    assert (found.settings.settings, found.settings.calibration) == (VALUES, {"C1:EventWidth": 6.0})
    assert found.problem == ""


def test_what_has_not_changed_is_not_written(tmp_path):
    file = settings_file(tmp_path)
    file.load()
    assert not file.save({}, {})
    assert list(tmp_path.iterdir()) == []
    file.save(VALUES, {})
    before = file.path.stat().st_mtime_ns
    other = settings_file(tmp_path)
    other.load()
    assert not other.save(VALUES, {})
    assert file.path.stat().st_mtime_ns == before


def test_the_copies_are_those_of_the_last_servers(tmp_path):
    for number in range(COPIES + 3):
        path = save(tmp_path, number)
    newest = COPIES + 2
    assert copies(path) == [str(number) for number in range(newest, newest - COPIES - 1, -1)] + [None]


def test_many_saves_of_one_server_leave_the_copies_alone(tmp_path):
    for number in range(COPIES + 1):
        path = save(tmp_path, number)
    file = settings_file(tmp_path)
    file.load()
    for number in range(100, 120):
        file.save({"number": number}, {})
    assert copies(path) == ["119", "3", "2", "1", None]


DAMAGES = {
    "its end is missing": lambda text: text[: text.index('"number"')],
    "it is not TOML": lambda text: text.replace("[settings]", "[settings"),
    "its format is None": lambda text: "",
    "its format is 2, not 1": lambda text: text.replace("format = 1", "format = 2"),
    "it is that of 'Other:'": lambda text: text.replace(f'prefix = "{PREFIX}"', 'prefix = "Other:"'),
    "Expected `object`": lambda text: text.replace("[settings]", "settings = 3").replace('"number" = 1', ""),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_file_is_left_for_somebody_to_look_at(tmp_path, reason):
    save(tmp_path, 0)
    path = save(tmp_path, 1)
    bad = DAMAGES[reason](path.read_text())
    assert bad != path.read_text()
    path.write_text(bad)
    found = settings_file(tmp_path).load()
    assert reason in found.problem
    assert found.settings.settings == {"number": 0}
    assert (tmp_path / f"{path.name}.bad").read_text() == bad
    # The next server finds the good one.
    again = settings_file(tmp_path).load()
    assert (again.problem, again.settings.settings) == ("", {"number": 0})


def test_neither_bytes_nor_a_directory_are_settings(tmp_path):
    save(tmp_path, 0)
    path = save(tmp_path, 1)
    path.write_bytes(b"\xff\x00" * 1000)
    assert settings_file(tmp_path).load().settings.settings == {"number": 0}
    path.unlink()
    path.mkdir()
    (tmp_path / f"{path.name}.bad").unlink()
    assert settings_file(tmp_path).load().settings.settings == {"number": 0}
    assert path.is_file()


@pytest.mark.parametrize("prefix", ["a:b", "a/b", "a%2Fb", "..", ".", ".hidden", "A:B", "a.toml"])
def test_each_prefix_has_a_file_of_its_own(tmp_path, prefix):
    others = [name for name in ("a:b", "a/b", "a%2Fb", "..", ".", "A:B", "x") if name != prefix]
    for name in others:
        settings_file(tmp_path, name).save({"name": name}, {})
    file = settings_file(tmp_path, prefix)
    assert file.path.parent == tmp_path
    assert file.path.name[0] != "."
    assert file.load().settings is None
    for name in others:
        assert settings_file(tmp_path, name).load().settings.settings == {"name": name}


WRITER = """
import sys
from pathlib import Path
from xsp3ioc.autosave_file import SettingsFile
file = SettingsFile(Path(sys.argv[1]), "T:", simulated=True)
file.load()
number = int(sys.argv[2])
while True:
    number += 1
    file.save({f"name {k}": number for k in range(300)}, {})
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path):
    number = 0
    for _ in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(number)], stdout=subprocess.PIPE, text=True
        )
        with process, process.stdout as output:
            first = int(output.readline())
            time.sleep(random.uniform(0, 0.05))
            process.kill()
            last = int([str(first), *output.read().split()][-1])
        found = SettingsFile(tmp_path, "T:", simulated=True).load()
        assert found.problem == ""
        values = set(found.settings.settings.values())
        # That of which it said that it was written, or the one after it, which it could not say any more.
        assert values in ({last}, {last + 1})
        assert len(found.settings.settings) == 300
        number = values.pop()


def test_two_at_once(tmp_path):
    file, other = settings_file(tmp_path), settings_file(tmp_path, "other")
    assert file.claim()
    assert not settings_file(tmp_path).claim()
    assert other.claim()
    file.release()
    other.release()
    assert file.claim()
    file.release()

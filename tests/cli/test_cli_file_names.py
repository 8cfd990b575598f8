"""What is no file for them: `check`, `info`, `plot`, `salvage` and `replay` say why in one line, without a trace."""

import json

import h5py
import numpy as np
import pytest

from xsp3ioc import __main__


@pytest.mark.parametrize("command", ["check", "info", "plot", "salvage", "replay --check", "replay"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is a directory|name of the file is empty"),
        ("directory", "directory is a directory"),
        ("text.h5", r"text.h5 is no HDF5 file: it begins with b'hello\n'|like an HDF5 file, but with b'hello\n'"),
        ("empty.h5", "empty.h5 is empty: 0 bytes"),
        ("nowhere.h5", "nowhere.h5: no such file or directory"),
    ],
)
def test_it_says_what_it_is(tmp_path, monkeypatch, capsys, command, name, why):
    (tmp_path / "directory").mkdir()
    (tmp_path / "text.h5").write_text("hello\n")
    (tmp_path / "empty.h5").touch()
    monkeypatch.chdir(tmp_path)
    command, *options = command.split()
    assert __main__.main([command, name, *options]) == 2
    output = capsys.readouterr()
    assert not output.out
    (line,) = output.err.splitlines()
    assert line.startswith("xsp3ioc")
    assert any(one.lower() in line.lower() for one in why.split("|"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "empty.h5", "text.h5"]


@pytest.mark.parametrize("command", ["check", "info", "plot", "salvage", "replay --check"])
def test_it_says_so_in_json_too(tmp_path, capsys, command):
    name = str(tmp_path / "nowhere.h5")
    command, *options = command.split()
    assert __main__.main([command, name, "--json", *options]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["exit_code"]) == (command, 2)
    assert said.get("files", [said])[0]["error"].lower() == f"{name}: no such file or directory"


def test_a_replay_has_its_place(tmp_path, capsys):
    path, written = tmp_path / "x.h5", tmp_path / "x_replayed.h5"
    with h5py.File(path, "w") as file:
        file["/entry/instrument/xspress3/data"] = np.zeros((1, 1, 4096), np.uint32)
    written.write_text("precious")
    for directory, why in ((tmp_path, f"{written} exists already: delete it"), (written, "is a file, not a directory")):
        assert __main__.main(["replay", str(path), "--write", str(directory)]) == 2
        assert why in capsys.readouterr().err
    assert written.read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["chek", "x.h5"], "commands are demo,"), (["--emulate", "demo"], "a command comes first")],
)
def test_a_word_that_is_no_command(capsys, words, hint):
    with pytest.raises(SystemExit, match="2"):
        __main__.main(words)
    assert hint in capsys.readouterr().err

"""`xsp3ioc screens`: where they are, or copies of them."""

import subprocess
import sys
from pathlib import Path

from screens_files import FILES, FOLDER


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "xsp3ioc", "screens", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def names(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def test_it_says_where_they_are():
    result = run()
    where, command = result.stdout.splitlines()
    assert (result.returncode, where) == (0, str(FOLDER))
    assert command == f"phoebus -resource 'file:{FOLDER}/xsp3_main.bob?P=XSP3_4Chan:&R=det1:'"


def test_it_copies_them(tmp_path):
    copies = tmp_path / "new" / "screens"
    result = run(copies, "--prefix", "XF:05IDD-ES{Xsp:1}:")
    where, command = result.stdout.splitlines()
    assert (result.returncode, where) == (0, str(copies))
    assert command.endswith("xsp3_main.bob?P=XF:05IDD-ES%7BXsp:1%7D:&R=det1:'")
    assert names(copies) == {path.name: path.read_bytes() for path in FILES}


def test_what_was_edited_is_not_replaced(tmp_path):
    assert run(tmp_path).returncode == 0
    edited = tmp_path / "xsp3_main.bob"
    edited.write_text("mine")
    (tmp_path / "xsp3_file.bob").unlink()
    result = run(tmp_path)
    assert result.returncode == 2
    assert result.stderr == (
        f"xsp3ioc screens: in {tmp_path} are other versions of xsp3_main.bob: --overwrite replaces them\n"
    )
    assert edited.read_text() == "mine"
    assert not (tmp_path / "xsp3_file.bob").exists(), "all are copied, or none"
    assert run(tmp_path, "--overwrite").returncode == 0
    assert names(tmp_path) == {path.name: path.read_bytes() for path in FILES}


def test_where_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file" / "screens")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("xsp3ioc screens: ")
    assert "Traceback" not in result.stderr

import hashlib
import os

from stream_core import running_core

from xsp3ioc.stream import settings_files
from xsp3ioc.stream.orders import SettingsFiles
from xsp3ioc.stream.settings_files import LARGEST, MOST_BYTES, MOST_FILES, read_settings_files


def test_texts_are_taken(tmp_path):
    (tmp_path / "b").write_text("ticks µs\n")
    (tmp_path / "a").write_text("1")
    (tmp_path / "directory").mkdir()
    assert read_settings_files(str(tmp_path)) == SettingsFiles(str(tmp_path), {"a": "1", "b": "ticks µs\n"})


def test_what_is_no_text_or_too_large_is_named_with_its_sum(tmp_path, monkeypatch):
    contents = {"binary": b"\xff\xfe", "large": b"x" * (LARGEST + 1), "nul": b"a\0b"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = read_settings_files(str(tmp_path))
    assert found.files == {}
    assert found.left_out == [
        f"{name}, {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
        for name, content in contents.items()
    ]
    monkeypatch.setattr(settings_files, "LARGEST_SUMMED", LARGEST)
    assert read_settings_files(str(tmp_path)).left_out[1] == f"large, {LARGEST + 1} bytes"


def test_all_together_are_bounded(tmp_path):
    for number in range(MOST_FILES + 3):
        (tmp_path / f"{number:03}").write_bytes(b"x" * LARGEST if number < 6 else b"")
    found = read_settings_files(str(tmp_path))
    assert sum(map(len, found.files.values())) == MOST_BYTES
    assert [line.split(",")[0] for line in found.left_out] == ["004", "005", "3 more files"]


def test_no_directory(tmp_path):
    assert read_settings_files("") == SettingsFiles()
    gone = str(tmp_path / "gone")
    found = read_settings_files(gone)
    assert (found.directory, found.files) == (gone, {})
    assert os.strerror(2) in found.left_out[0]


def carried(core):
    """What the header of the next series will have of them."""
    return core.detector._settings_files


def test_headers_carry_the_calibration_that_was_read_or_written_last(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with running_core() as core:
        assert carried(core) == SettingsFiles()
        core.set(config_save_path=str(first))
        core.put("save_settings", True)
        assert carried(core).directory == str(first)
        core.set(config_save_path=str(second), good_threshold=77)
        core.put("save_settings", True)
        changed = carried(core)
        core.set(config_path=str(first))
        core.put("restore_settings", True)
        restored = carried(core)
        assert (restored.directory, changed.directory) == (str(first), str(second))
        assert restored.files.keys() == changed.files.keys()
        assert restored.files != changed.files
        assert restored.files == {path.name: path.read_text() for path in first.iterdir()}
        core.put("connect", True)
        assert carried(core) == restored

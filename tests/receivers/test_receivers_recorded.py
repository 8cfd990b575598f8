"""What a server has sent once: decoded by the reference receiver, by ours, and the spectra by HDF5's filter."""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from receivers_recorded import FRAMES, RECORDED, SERIES, read

from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.formulas import dead_time_factors
from xsp3ioc.stream.messages import Header, SeriesEnd, block_from_parts, decode_from_server

REFERENCE = Path(__file__).parents[2] / "docs" / "reference_receiver.py"
TICKS = 1_600_000


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference_receiver", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def expected():
    return expected_frames(EmulatorSettings(channels=1), TICKS, 0, FRAMES)


def images(name):
    return [parts for parts in read(name) if json.loads(parts[0])["htype"] == "image"]


def test_the_recordings_are_small_and_whole():
    assert sum((RECORDED / name).stat().st_size for name in SERIES) < 100_000
    for name, compression in SERIES.items():
        messages = read(name)
        heads = [json.loads(parts[0]) for parts in messages]
        assert [head["htype"] for head in heads] == ["header", *["image"] * (len(heads) - 2), "series_end"]
        assert [head["msg_number"] for head in heads] == list(range(len(heads)))
        assert sum(head["shape"][0] for head in heads[1:-1]) == heads[-1]["acquired"] == FRAMES
        assert {head["compression"] for head in heads[1:-1]} == {compression}


def test_the_reference_receiver_decodes(reference, expected):
    decoded = [reference.decode(parts) for parts in read("none.bin")]
    mca, scalers = expected
    for message in decoded[1:-1]:
        here = slice(message["frame"], message["frame"] + len(message["frames"]))
        np.testing.assert_array_equal(message["spectra"], mca[here])
        np.testing.assert_array_equal(message["scalers"], scalers[here])
        np.testing.assert_array_equal(message["factors"], dead_time_factors(scalers[here], decoded[0]["event_widths"]))
        assert not message["frames"]["status"].any()
        assert (message["frames"]["time"] > decoded[0]["time"]).all()
    with pytest.raises(ValueError, match="bslz4"):
        reference.decode(images("bslz4.bin")[0])


def test_the_reference_receiver_says_what_is_missing(reference, capsys):
    decoded = [reference.decode(parts) for parts in read("none.bin")]
    del decoded[2:4]
    decoded[-1]["lost"] = [{"first": 1, "last": 2, "reason": "subscriber too slow"}]
    reference.follow(decoded)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"series 1: {FRAMES} frames of 1 channels"
    assert lines[1] == "  frames 1..2 did not come"
    assert lines[2].startswith("  complete: 4 acquired, 2 received, ")
    assert lines[3] == "  missing 1..2: subscriber too slow"


def test_the_reference_receiver_is_short_and_needs_little():
    text = REFERENCE.read_text()
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported - set(sys.stdlib_module_names) == {"numpy", "zmq"}
    assert len(text.splitlines()) < 80


@pytest.mark.parametrize("name", SERIES)
def test_ours_decodes(name, expected):
    first, *_, last = messages = [decode_from_server(parts[0]) for parts in read(name)]
    assert isinstance(first, Header)
    assert isinstance(last, SeriesEnd)
    assert first.simulated
    for image, parts in zip(messages[1:-1], images(name), strict=True):
        block = block_from_parts(image, parts[1:])
        np.testing.assert_array_equal(block.mca, expected[0][block.first : block.end])
        np.testing.assert_array_equal(block.scalers, expected[1][block.first : block.end])


def test_hdf5_decodes_what_is_compressed(tmp_path, expected):
    with h5py.File(tmp_path / "direct.h5", "w") as file:
        data = file.create_dataset("data", (FRAMES, 1, 4096), "u4", chunks=(1, 1, 4096), **hdf5plugin.Bitshuffle())
        for parts in images("bslz4.bin"):
            head = json.loads(parts[0])
            assert head["shape"] == [1, 1, 4096]
            data.id.write_direct_chunk((head["frame"], 0, 0), parts[1])
        data.flush()
        np.testing.assert_array_equal(data[()], expected[0])

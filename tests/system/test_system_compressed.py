"""Compressed spectra on the data socket: every receiver gets its frames, as it wants them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zmq
from ca_clients import ECA_NORMAL
from system_rig import Written

from xsp3ioc.sdk import expected_frames

PACES = [
    pytest.param("clock", 1000, 1e-3, id="1 kHz"),
    pytest.param("reader", 8000, 1e-3, id="as fast as it can"),
]


def program(name, *arguments):
    command = [sys.executable, "-m", f"xsp3ioc.receivers.{name}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("pace", "frames", "exposure"), PACES)
def test_all_receivers_of_a_server_that_compresses(start_rig, tmp_path, pace, frames, exposure):
    rig = start_rig("--stream-compression", "bslz4", emulator={"pace": pace})
    listener = rig.listener("compressed")
    root = tmp_path / "remote"
    root.mkdir()
    programs = [
        program("writer", "--connect", rig.server.data, "--root", str(root)),
        program("printer", "--connect", rig.server.data, "--count", "1"),
        program("printer", "--connect", rig.server.data, "--count", "1", "--compression", "none"),
    ]
    rig.ca.wait_for("det1:Subscribers", 4)
    path = Path(rig.capture("compressed", frames))
    assert rig.acquire(frames, exposure) == ECA_NORMAL
    assert rig.ca.put_status("capture") == ECA_NORMAL
    heard = listener.heard()
    assert (heard.frames, heard.wrong, heard.gaps, heard.end.lost) == (frames, [], [], [])
    for printer in programs[1:]:
        output, _ = printer.communicate(timeout=20)
        assert f"{frames} acquired, {frames} received, 0 missing" in output
    assert programs[0].stdout.readline() == f"{root / path.name}: {frames} frames\n"
    programs[0].send_signal(signal.SIGTERM)
    programs[0].communicate(timeout=20)
    for file in (path, root / path.name):
        written = Written(file)
        np.testing.assert_array_equal(written["frame_in_series"], np.arange(frames))
        assert not written["frame_status"].any()
        written.check(rig.settings, exposure)
    assert rig.counters() == [frames, frames, frames, 0]


def test_each_subscriber_gets_what_it_asks_for(rig, peer):
    wanted = {"": "none", "none": "none", "bslz4": "bslz4"}
    peers = {compression: peer(zmq.DEALER, rig.server.data) for compression in (*wanted, "zip")}
    for compression, dealer in peers.items():
        hello = {"htype": "hello", "name": f"raw {compression}", "version": 1, "credit": 32}
        dealer.send(json.dumps(hello | {"compression": compression}).encode())
    assert b"it may be none, bslz4" in peers.pop("zip").recv()
    rig.ca.wait_for("det1:Subscribers", len(peers))
    assert rig.acquire(5, 0.01) == ECA_NORMAL
    mca, _ = expected_frames(rig.settings, 800_000, 0, 5)
    for compression, dealer in peers.items():
        sizes = []
        while (parts := dealer.recv_multipart()) and json.loads(parts[0])["htype"] != "series_end":
            head = json.loads(parts[0])
            if head["htype"] == "image":
                count = head["shape"][0]
                assert head["compression"] == wanted[compression]
                sizes.append(len(parts[1]) / count)
                if wanted[compression] == "none":
                    assert parts[1] == mca[head["frame"] : head["frame"] + count].tobytes()
        small = wanted[compression] == "bslz4"
        assert sizes
        assert all((size < mca[0].nbytes / 5) == small for size in sizes)

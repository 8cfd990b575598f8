"""The reference receiver of docs/, against a real server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ca_clients import ECA_NORMAL

REFERENCE = Path(__file__).parents[2] / "docs" / "reference_receiver.py"


def test_the_reference_receiver_gets_every_frame(start_rig):
    rig = start_rig("--stream-compression", "bslz4")
    command = [sys.executable, "-u", REFERENCE, rig.server.data, "reference"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            rig.ca.wait_for("det1:Subscribers", 1)
            for _ in range(2):
                assert rig.acquire(500) == ECA_NORMAL
            lines = [receiver.stdout.readline() for _ in range(4)]
        finally:
            receiver.kill()
    for first, last in (lines[:2], lines[2:]):
        assert first.endswith(": 500 frames of 4 channels\n")
        assert last.startswith("  complete: 500 acquired, 500 received, ")

"""Recorded messages of real series; `python tests/receivers/receivers_recorded.py` makes them anew.

A file holds one message after the other: the number of its parts, then each part's length before it, all uint32,
little endian. Only the name of the host and the command line are not those of the server that sent them.
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import zmq

RECORDED = Path(__file__).parent / "recorded"
SERIES = {"none.bin": "none", "bslz4.bin": "bslz4"}
FRAMES = 4
NUMBER = struct.Struct("<I")
TOLD = {"host": "detector-host", "command": "xsp3ioc --emulate --channels 1"}


def read(name):
    """The messages of a recording: lists of parts."""
    data = (RECORDED / name).read_bytes()
    at, messages = 0, []

    def number():
        nonlocal at
        (value,) = NUMBER.unpack_from(data, at)
        at += NUMBER.size
        return value

    while at < len(data):
        parts = []
        for _ in range(number()):
            length = number()
            parts.append(data[at : at + length])
            at += length
        messages.append(parts)
    return messages


def write(name, messages):
    whole = [NUMBER.pack(len(parts)) + b"".join(NUMBER.pack(len(part)) + part for part in parts) for parts in messages]
    (RECORDED / name).write_bytes(b"".join(whole))


def series(socket):
    """All messages up to the end of the series."""
    messages = []
    while not messages or json.loads(messages[-1][0])["htype"] != "series_end":
        assert socket.poll(20_000)
        messages.append(socket.recv_multipart())
    head = json.loads(messages[0][0])
    messages[0][0] = json.dumps(head | TOLD).encode()
    return messages


def main():
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from server_process import ServerProcess

    RECORDED.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, zmq.Context() as context:
        server = ServerProcess(
            Path(directory), detector={"emulate": True, "channels": 1},
            parameters={"frames": FRAMES, "exposure_time": 0.02},
        )  # fmt: skip
        sockets = {name: context.socket(zmq.DEALER) for name in SERIES}
        for name, socket in sockets.items():
            socket.connect(server.data)
            hello = {"htype": "hello", "name": name, "version": 1, "credit": 16, "compression": SERIES[name]}
            socket.send(json.dumps(hello).encode())
        server.wait_for_log("Subscriber 'bslz4.bin' joined")
        acquire = f"import epics; epics.caput('{server.prefix}det1:Acquire', 1, wait=True, timeout=30)"
        subprocess.run([sys.executable, "-c", acquire], env=server.environment, check=True, timeout=60)
        for name, socket in sockets.items():
            write(name, series(socket))
            socket.close(0)
        server.stop()


if __name__ == "__main__":
    main()

"""The bare minimum that the same data need: what a throughput is compared with."""

from __future__ import annotations

import mmap
import multiprocessing
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import zmq

BLOCK = (16, 4, 4096)
CREDIT = 16


def _drain(endpoint: str) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    socket.send(b"hello")
    while len(socket.recv_multipart(copy=False)) > 1:
        socket.send(b"credit")
    socket.close()
    context.term()


def raw_stream(frames: int, peers: int = 1) -> float:
    """Frames/s of 1 MiB blocks from a ROUTER to each of `peers` DEALER processes on this host, with credit.

    And nothing else.
    """
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_drain, args=(endpoint,)) for _ in range(peers)]
    for process in processes:
        process.start()
    credit = dict.fromkeys([socket.recv_multipart()[0] for _ in processes], CREDIT)
    blocks = [np.ones(BLOCK, np.uint32) for _ in range(2 * CREDIT)]
    small = [np.zeros((16, 4, 9), np.uint32), np.ones((16, 4)), np.zeros(16 * 16, np.uint8)]
    start = time.perf_counter()
    count = frames // BLOCK[0]
    for number in range(count):
        while min(credit.values()) == 0 or socket.poll(0):
            credit[socket.recv_multipart()[0]] += 1
        for identity in credit:
            credit[identity] -= 1
            socket.send_multipart([identity, b"{}", blocks[number % len(blocks)], *small], copy=False)
    while min(credit.values()) < CREDIT:
        credit[socket.recv_multipart()[0]] += 1
    seconds = time.perf_counter() - start
    for identity in credit:
        socket.send_multipart([identity, b"end"])
    for process in processes:
        process.join(10)
    socket.close()
    context.term()
    return count * BLOCK[0] / seconds


def _write(path: str, frames: int, spectra: np.ndarray, compression: str, answer: object) -> None:
    import bitshuffle
    import h5py
    import hdf5plugin

    # In shared memory, where the server's writer finds them.
    blocks = np.frombuffer(mmap.mmap(-1, spectra.nbytes), spectra.dtype).reshape(spectra.shape)
    blocks[...] = spectra
    per_chunk, *shape = blocks.shape[1:]
    keywords = dict(hdf5plugin.Bitshuffle()) if compression == "bslz4" else {}
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (frames, *shape), "<u4", chunks=(per_chunk, *shape), maxshape=(None, *shape), **keywords
        )
        start = time.perf_counter()
        for number in range(frames // per_chunk):
            block = blocks[number % len(blocks)]
            chunk: object = block
            if compression == "bslz4":
                chunk = struct.pack(">QI", block.nbytes, 8192) + bitshuffle.compress_lz4(block).tobytes()
            data.id.write_direct_chunk((number * per_chunk, 0, 0), chunk)
        file.flush()
        answer.put(time.perf_counter() - start)  # type: ignore[attr-defined]


def raw_file(frames: int, spectra: np.ndarray, compression: str = "bslz4") -> float:
    """Frames/s of one process that writes `spectra`, (chunks, frames, channels, bins), over and over, chunk by chunk.

    `compression` is bslz4 or none; the file lies in memory.
    """
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with tempfile.TemporaryDirectory(dir=memory_directory()) as directory:
        arguments = (str(Path(directory) / "raw.h5"), frames, spectra, compression, answer)
        writer = context.Process(target=_write, args=arguments)
        writer.start()
        seconds = answer.get(timeout=60)
        writer.join(30)
    return frames / seconds


def memory_directory() -> str | None:
    """Return a directory in memory, where there is one: what is measured is the program, not a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None

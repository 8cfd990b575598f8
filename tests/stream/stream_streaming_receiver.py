"""What the streaming-receiver of MAX IV does with stream1, after its rules and not with its code."""

from __future__ import annotations

import json
import queue
import threading

import h5py
import numpy as np
import zmq


class StreamingReceiver:
    """Some sockets that share the frames, one order of them by `msg_number`, one writer of `dataset`.

    A message behind a gap is kept back until what is missing comes, or the next header, which throws older ones away.
    """

    def __init__(self, endpoint, dataset="/entry/instrument/xspress3/data", workers=1):
        self.state, self.rows, self.error = "idle", 0, None
        self.kept_back: dict[int, list] = {}
        self.sent_on: list[dict] = []
        """JSON of the frames, as those behind it would get it."""
        self.ends = 0
        self._dataset, self._file, self._due = dataset, None, None
        self._arrived, self._closing = queue.Queue(), threading.Event()
        self._context = zmq.Context()
        self._threads = [threading.Thread(target=self._pull, args=(endpoint,), daemon=True) for _ in range(workers)]
        self._threads.append(threading.Thread(target=self._work, daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self):
        self._closing.set()
        for thread in self._threads:
            thread.join(10)
        self._context.term()
        if self._file is not None:
            self._file.close()
        assert self.error is None, repr(self.error)

    def _pull(self, endpoint):
        with self._context.socket(zmq.PULL) as socket:
            socket.connect(endpoint)
            while not self._closing.is_set():
                if socket.poll(50):
                    head, *rest = socket.recv_multipart()
                    head = json.loads(head)
                    # Parts of an image are pieces of it; behind anything else they are JSON.
                    self._arrived.put((head, rest if head["htype"] == "image" else [json.loads(part) for part in rest]))

    def _work(self):
        try:
            while not self._closing.is_set():
                try:
                    message = self._arrived.get(timeout=0.05)
                except queue.Empty:
                    continue
                self._order(*message)
        except Exception as error:
            self.error = error

    def _order(self, head, rest):
        number = head["msg_number"]
        if head["htype"] == "header":
            self._due = number
            self.kept_back = {key: kept for key, kept in self.kept_back.items() if key >= number}
        self.kept_back[number] = [head, rest]
        while self._due in self.kept_back:
            self._take(*self.kept_back.pop(self._due))
            self._due += 1

    def _take(self, head, rest):
        if head["htype"] == "header":
            self._begin(head, rest[0] if rest else {})
        elif head["htype"] == "series_end":
            if self._file is not None:
                self._file.close()
                self._file = None
            self.state, self.ends = "idle", self.ends + 1
        else:
            self._write(head | self._facts, rest)

    def _begin(self, head, metadata):
        self.state, self.rows = "running", 0
        self._facts = {"exposure_time": metadata["exptime"]} if "exptime" in metadata else {}
        if not head["filename"] or not metadata.get("save_raw", True):
            self._file = None
            return
        self._file = h5py.File(head["filename"], "a")
        group = self._file.create_group(self._dataset.rpartition("/")[0])
        group.attrs["NX_class"] = "NXdetector"
        self._put(metadata, group)
        group.create_dataset("sequence_number", (0,), "u4", maxshape=(None,))

    def _put(self, values, group):
        for name, value in values.items():
            if isinstance(value, dict):
                self._put(value, group.create_group(name))
            else:
                group.create_dataset(name, data=value)

    def _write(self, head, pieces):
        self.sent_on.append(head)
        self.rows += 1
        if self._file is None:
            return
        if self._dataset not in self._file:
            assert head["compression"] == "none"
            shape = tuple(head["shape"])
            options = {"maxshape": (None, *shape), "chunks": (1, *head.get("chunks", shape))}
            self._file.create_dataset(self._dataset, (0, *shape), head["type"], **options)
        data = self._file[self._dataset]
        numbers = self._file[self._dataset.rpartition("/")[0] + "/sequence_number"]
        for one in (data, numbers):
            one.resize(len(one) + 1, axis=0)
        numbers[-1] = head["frame"]
        for place, piece in enumerate(pieces):
            data.id.write_direct_chunk((len(data) - 1, place, *[0] * (data.ndim - 2)), piece)


def read(path):
    """Spectra, numbers of the frames, and the metadata by name."""
    with h5py.File(path) as file:
        group = file["/entry/instrument/xspress3"]
        assert group.attrs["NX_class"] == "NXdetector"
        values = {name: item[()] for name, item in group.items()}
        return values.pop("data"), values.pop("sequence_number"), values


def spectra_of(core, numbers, ticks):
    """What the frames with these numbers are to be."""
    return core.frames(int(np.max(numbers)) + 1, 0, ticks)[0][numbers]

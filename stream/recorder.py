"""The server's own file writer: a child process that takes the data stream, and the captures it is told to write.

A child, because a dead disk must not hold the server: it can always be left behind, and replaced.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait

from xsp3ioc.stream.capture_ends import CaptureEnds
from xsp3ioc.stream.capture_file import CaptureFile, RecordingError, with_way_out
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.messages import CaptureEnd, Closed, Failed, Flush, Opened, Written
from xsp3ioc.stream.orders import Report
from xsp3ioc.stream.pool import Pool
from xsp3ioc.stream.subscriber import Audience

log = logging.getLogger(__name__)

LEVELS = {name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}


class Recorder:
    """Starts the writer, gives it its orders, and knows from its reports how far it is."""

    def __init__(
        self,
        data: DataSocket,
        endpoint: str,
        token: str,
        pool: Pool,
        on_change: Callable[[CaptureFile], None],
        on_written: Callable[[Written], None],
        fsync: float = 0.0,
    ) -> None:
        """`on_change`, `on_written` come from the threads that learn of it and must not wait; `fsync`: s, 0: never."""
        self._data = data
        self._endpoint = endpoint
        self._token = token
        self._pool = pool
        self._on_change = on_change
        self._on_written = on_written
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        """A file is closed by clients, the series, the writer, its watch: each end of one happens once."""
        self.ends = CaptureEnds(data)
        self._flushes = itertools.count(1)
        self.file: CaptureFile | None = None
        """The running capture, or the last one."""

    @property
    def attached(self) -> bool:
        """Whether the writer is there and listens."""
        return bool(self._data.subscribers.select(writer=True))

    @property
    def pid(self) -> int | None:
        """Process number of the writer, while it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the writer if it does not run; it attaches by itself a little later."""
        with self._lock:
            if self.pid is not None:
                return
            # A session of its own: Ctrl-C at the terminal is for the server, which then ends the writer in order.
            # Its standard input ends when the server does, however that happens.
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "xsp3ioc.receivers.writer",
                    "--connect", self._endpoint, "--child", "--fsync", str(self._fsync),
                ],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=os.environ
                | {"XSP3IOC_TOKEN": self._token, "XSP3IOC_POOL": f"{self._pool.descriptor}:{self._pool.size}"},
                pass_fds=(self._pool.descriptor,),
            )  # fmt: skip
            threading.Thread(target=self._watch, args=(self._process,), name="writer watch", daemon=True).start()

    def open(self, file: CaptureFile) -> None:
        """Order a file; its `opened` and `closed` say what becomes of it. RecordingError while there is another."""
        before = self.file
        if before is not None and before is not file and not before.over:
            # Nobody would hear of its end any more.
            raise RecordingError(f"{before.name or before.order.filename} is still being written")
        self.file = file
        file.waiting = False
        # The others hear of it when it is there: a capture that is refused makes no file anywhere.
        self._data.publish(file.order, audience=Audience.writer)

    def close(self, reason: str, shortfall: str = "") -> None:
        """Order the file closed, after all frames published so far; a `shortfall` is its error then."""
        file = self.file
        with self._ending:
            if file is None or file.over or file.closing:
                return
            file.close_from_now()
            file.shortfall = shortfall
        if file.waiting:
            self._over(file, "")
        else:
            end = CaptureEnd(capture_id=file.order.capture_id, reason=reason)
            self._data.publish(end, audience=Audience.writer)
            if not file.private:
                self.ends.tell(end)

    def give_up(self, file: CaptureFile, error: str) -> None:
        """End a file that could not be ordered."""
        self._over(file, error)

    def flush(self, file: CaptureFile) -> Future[None]:
        """Order all frames published so far into the file; ends when they are there."""
        done: Future[None] = Future()
        number = next(self._flushes)
        file.flushes[number] = done
        self._data.publish(Flush(capture_id=file.order.capture_id, flush=number), audience=Audience.writer)
        if file.over:
            self._answer_flushes(file)  # it ended meanwhile
        return done

    def hear(self, report: Report) -> None:
        """Take a report of the writer."""
        file = self.file
        if file is None or report.capture_id != file.order.capture_id:
            (log.debug if isinstance(report, Written) else log.warning)("Of a capture that is not running: %s", report)
            return
        if isinstance(report, Written):
            file.frames, file.missing, file.swmr = report.frames, report.missing, report.swmr
            file.stored = report.stored
            if report.filename:
                file.name, file.number = report.filename, report.number
            self._on_written(report)
            if (flushed := file.flushes.pop(report.flush, None)) is not None:
                flushed.set_result(None)
        elif isinstance(report, Opened):
            if not file.opened.done():
                file.name, file.number = report.filename, report.number
                if not file.order.hold:
                    file.order.filename = report.filename  # another number may have been free
                if not file.closing and not file.private:
                    self.ends.release()
                    self._data.publish(file.order, audience=Audience.others)
                with contextlib.suppress(InvalidStateError):  # another thread has just ended it
                    file.opened.set_result(report.filename)
        elif isinstance(report, Failed):
            file.frames = report.frames
            self._over(file, with_way_out(report.error))
        elif isinstance(report, Closed):
            file.frames, file.seconds = report.frames, report.seconds
            asked = file.closing or 0 < file.order.frames <= report.frames or bool(file.order.held)
            self._over(file, file.shortfall if asked else f"{report.filename} was closed by the writer before its end")

    def _over(self, file: CaptureFile, error: str) -> None:
        """End a capture: show it first, then answer those who wait for it."""
        with self._ending:
            if file.over:
                return
            unheard = file.is_open and not file.private and (not file.closing or error != file.shortfall)
            file.error = error
            if not file.closing:
                file.close_from_now()
            file.over = True  # last: who sees it finds the rest as it stays
        if unheard:
            # The writer ended it by itself (all frames, or an error): say so to the other subscribers too.
            self.ends.tell(CaptureEnd(capture_id=file.order.capture_id, reason=error or "complete"))
        self._data.subscribers.forget_capture()
        self._on_change(file)
        self._answer_flushes(file)
        if error:
            file.fail(error)
        elif not file.closed.done():
            file.closed.set_result(file.frames)

    @staticmethod
    def _answer_flushes(file: CaptureFile) -> None:
        with contextlib.suppress(KeyError):  # another thread has answered the last one
            while file.flushes:
                _, done = file.flushes.popitem()
                if file.error:
                    done.set_exception(RecordingError(file.error))
                else:
                    done.set_result(None)

    def abandon(self, reason: str) -> None:
        """Leave a writer that does not answer; the next capture gets a new one."""
        # Forgotten at once: one that a dead disk holds survives even this, and the next capture must not get it.
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            log.error("File writer %d is abandoned: %s", process.pid, reason)
            process.kill()
        self._lost(reason)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Put what the writer logs into our log, and notice its end."""
        if process.stderr is not None:
            for line in process.stderr:
                whole = line.decode("utf-8", "replace").rstrip()
                name, _, text = whole.partition(" ")
                known = name in LEVELS  # else it is a line of a traceback
                log.log(LEVELS.get(name, logging.WARNING), "writer: %s", text if known else whole)
            process.stderr.close()
        status = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if process is self._process:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            self._lost(f"The file writer {how}")

    def _lost(self, reason: str) -> None:
        file = self.file
        self._data.subscribers.forget_writer()
        if file is not None and not file.closed.done() and not file.waiting:
            kept = f"{file.name or file.order.filename} is incomplete: it holds the {file.frames} frames flushed before"
            self._over(file, f"{reason}; {kept}")

    def shut_down(self, patience: float) -> None:
        """Close the file, end the writer; leave it behind after `patience` seconds."""
        self.close("server stopped")
        process, self._process = self._process, None
        if process is None:
            return
        deadline = time.monotonic() + patience
        if self.file is not None:
            # At the end of its input the writer ends: before that it shall have written what is on its way.
            wait([self.file.until_named()], patience - 0.5)
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(max(0.5, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("File writer %d did not end in %g s and is killed", process.pid, patience)
            process.kill()
            process.wait()
        self._lost("The server stopped before the file was complete")

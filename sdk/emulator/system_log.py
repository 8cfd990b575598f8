"""The log of temperatures and voltages: a thread that adds a line to a file at every period."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

Measurements = Callable[[], list[str] | None]


class SystemLog:
    """Writes a line at once and after every `period` seconds, until it is stopped or has written `most` lines.

    `measure` gives the columns of a line, None when there is nothing to measure any more; `heading` names them. `begin`
    opens the file, and it is closed when the thread has ended.
    """

    def __init__(self, path: Path, period: float, most: int, heading: list[str], measure: Measurements) -> None:
        self.path = path
        self.lines = 0
        """Lines written by this log."""
        self.failure = ""
        """Why it ended by itself; empty unless writing failed."""
        self._period = period
        self._most = most
        self._heading = heading
        self._measure = measure
        self._stopped = threading.Event()
        self._paused = False
        self._thread: threading.Thread | None = None

    def begin(self, *, new_file: bool, keep_files: bool) -> None:
        """Open the file and start the thread; raises OSError.

        A new file takes the place of the old, which is kept under another name if files are to be kept; else lines are
        added to it.
        """
        if new_file and keep_files and self.path.exists():
            self.path.rename(_free_name(self.path))
        file = self.path.open("w" if new_file else "a", encoding="utf-8")
        if file.tell() == 0:
            file.write("\t".join(["time (UTC)", *self._heading]) + "\n")
        self._thread = threading.Thread(target=self._run, args=(file,), name="system log", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def pause(self) -> None:
        """Write no more lines until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Write lines again."""
        self._paused = False

    def end(self) -> None:
        """Let the thread end by itself."""
        self._stopped.set()

    def stop(self) -> None:
        """End the thread and wait until the file is closed."""
        self.end()
        if self._thread is not None:
            self._thread.join()

    def _run(self, file: IO[str]) -> None:
        try:
            with file:
                while self.lines < self._most:
                    if not self._paused:
                        words = self._measure()
                        if words is None:
                            return
                        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                        file.write("\t".join([stamp, *words]) + "\n")
                        file.flush()
                        self.lines += 1
                    if self._stopped.wait(self._period):
                        return
        except OSError as error:
            self.failure = str(error)


def _free_name(path: Path) -> Path:
    number = 1
    while (free := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return free

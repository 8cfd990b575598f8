"""All frames of a file once through a whole server, by put and monitor alone, and what came out compared with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xsp3ioc.demo_client import Client
from xsp3ioc.demo_server import EmulatedServer
from xsp3ioc.receivers.recorded import RecordedFile
from xsp3ioc.receivers.tally import Tally

SUBSCRIBER = "replay"
PATIENCE = 30.0
"""Seconds without a further frame after which something is wrong."""
AT_ONCE = 64
"""Frames compared together."""
MOST_NAMED = 10


class ReplayError(RuntimeError):
    """It cannot go on."""


@dataclass
class Outcome:
    """What came of it."""

    file: Path
    frames: int
    notes: list[str]
    written: Path | None = None
    seconds: float = 0.0
    complaints: list[str] = field(default_factory=list)
    """What is not the same; empty if all is."""

    def report(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "file": str(self.file),
            "written": None if self.written is None else str(self.written),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "same": not self.complaints,
            "complaints": self.complaints,
            "notes": self.notes,
        }


def replay_once(path: Path, directory: Path, arguments: list[str], console: Console) -> Outcome:
    """Acquire all frames of `path` through a server that is started with `arguments`, into a file in `directory`.

    UnreadableError and UnreplayableError if the file cannot be read; ReplayError, ServerError and ClientError if the
    server does not do it.
    """
    with RecordedFile(path) as original:
        target = directory / f"{path.stem}_replayed.h5"
        if target.exists():
            raise ReplayError(f"{target} exists already: delete it, or choose another directory with --write")
        outcome = Outcome(path, original.frames, list(original.origin.notes))
        if invalid := original.invalid():
            outcome.notes.append(f"{invalid} frames of the file are marked as missing: replayed as they stand there")
        for note in outcome.notes:
            console.print(f"Note: {note}", markup=False)
        with EmulatedServer(*arguments) as server:
            tally = Tally(server.data, SUBSCRIBER)
            tally.start()
            try:
                with Client(server.environment) as client:
                    _Run(server, client, outcome, console).acquire(directory, path.stem)
                tally.join(PATIENCE)
            finally:
                tally.stop()
        _compare(original, tally, outcome, console)
    return outcome


class _Run:
    """One capture with one series."""

    def __init__(self, server: EmulatedServer, client: Client, outcome: Outcome, console: Console) -> None:
        self._server, self._client, self._outcome, self._console = server, client, outcome, console
        self._det, self._file = server.detector_prefix, f"{server.prefix}HDF1:"

    def acquire(self, directory: Path, name: str) -> None:
        """Take the frames and have them written."""
        client, outcome = self._client, self._outcome
        self._until(lambda: client.get(f"{self._det}CONNECTED") == 1, "the detector is not connected")
        self._until(lambda: client.get(f"{self._det}Subscribers") > 0, "nobody subscribes to the stream")
        settings: dict[str, float | str] = {
            f"{self._det}NumImages": outcome.frames,
            f"{self._file}NumCapture": outcome.frames,
            f"{self._file}FilePath": str(directory),
            f"{self._file}FileName": f"{name}_replayed",
            f"{self._file}FileTemplate": "%s%s.h5",
        }
        for pv, value in settings.items():
            client.put(pv, value)
        client.start(f"{self._file}Capture", 1)
        self._until(lambda: client.get(f"{self._file}Capture_RBV") == 1, "the file does not open", refusable=True)
        began = time.monotonic()
        self._series()
        outcome.seconds = time.monotonic() - began
        # Done when the file is closed.
        client.put(f"{self._file}Capture", 0)
        outcome.written = Path(client.get(f"{self._file}FullFileName_RBV"))
        if client.get(f"{self._file}WriteStatus"):
            outcome.complaints.append(client.get(f"{self._file}WriteMessage"))

    def _series(self) -> None:
        client = self._client
        columns = TextColumn("frames"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=self._outcome.frames)
            done = client.start(f"{self._det}Acquire", 1)
            seen, since = -1, time.monotonic()
            while not done.wait(0.2):
                self._server.check()
                frames = client.get(f"{self._det}ArrayCounter_RBV")
                progress.update(task, completed=frames)
                longest = 10 * client.get(f"{self._det}AcquireTime_RBV")
                if frames != seen:
                    seen, since = frames, time.monotonic()
                elif time.monotonic() - since > PATIENCE + longest:
                    raise ReplayError(f"no frame after number {frames}: {self._message()}")
            progress.update(task, completed=client.get(f"{self._det}ArrayCounter_RBV"))
        if not done.succeeded:
            self._outcome.complaints.append(f"the series did not end well: {self._message()}")

    def _until(self, condition: Any, complaint: str, refusable: bool = False) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._server.check()
            refused = refusable and self._client.get(f"{self._file}WriteStatus")
            if refused or time.monotonic() > deadline:
                raise ReplayError(f"{complaint}: {self._message()}")
            time.sleep(0.02)

    def _message(self) -> str:
        return self._client.get(f"{self._det}StatusMessage_RBV")


def _compare(original: RecordedFile, tally: Tally, outcome: Outcome, console: Console) -> None:
    """Add to the complaints what is different: the file frame by frame, the stream by its sums."""
    if outcome.written is None:
        raise ReplayError("nothing was written")
    spectra = np.zeros((original.channels, original.bins), np.uint64)
    scalers = np.zeros((original.channels, 9), np.uint64)
    different: list[str] = []
    with RecordedFile(outcome.written) as written:
        if written.frames != original.frames:
            outcome.complaints.append(f"the file has {written.frames} frames, not {original.frames}")
        for first, count in _blocks(original.frames, console):
            ours = original.read(first, count)
            spectra += ours[0].sum(axis=0, dtype=np.uint64)
            scalers += ours[1].sum(axis=0, dtype=np.uint64)
            theirs = written.read(first, count)
            here = min(count, len(theirs[0]))
            pairs = ("spectra", ours[0], theirs[0][..., : original.bins]), ("scalers", ours[1], theirs[1])
            for what, one, other in pairs:
                bad = np.flatnonzero((one[:here] != other[:here]).reshape(here, -1).any(axis=1))
                different += [f"{what} of frame {first + index}" for index in bad.tolist()]
    if different:
        more = f" and {len(different) - MOST_NAMED} more" if len(different) > MOST_NAMED else ""
        outcome.complaints.append(f"not the same: {', '.join(different[:MOST_NAMED])}{more}")
    if tally.frames != original.frames:
        why = tally.error or ", ".join(f"{gap.first}..{gap.last}: {gap.reason}" for gap in tally.gaps) or "no end came"
        outcome.complaints.append(f"{tally.frames} frames came over the stream, not {original.frames} ({why})")
    elif not np.array_equal(tally.spectra[:, : original.bins], spectra):
        outcome.complaints.append("the spectra of the stream are not those of the file")
    elif not np.array_equal(tally.scalers, scalers):
        outcome.complaints.append("the scalers of the stream are not those of the file")


def _blocks(frames: int, console: Console) -> Iterator[tuple[int, int]]:
    with Progress(TextColumn("comparing"), BarColumn(None), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task("", total=frames)
        for first in range(0, frames, AT_ONCE):
            count = min(AT_ONCE, frames - first)
            yield first, count
            progress.update(task, advance=count)

"""A client that reads frames over Tango, and a subscriber that keeps what the stream delivered; run in `Desk`s."""

from __future__ import annotations

import threading

import numpy as np
from system_desk import Desk
from tango_client import Pair
from tango_walker import TangoWalker

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.stream.messages import Block, Header, SeriesEnd


class FrameReader(TangoWalker):
    """What is refused is returned as text: reason and description."""

    def commands(self):
        return {info.cmd_name for info in self._proxy.command_list_query()}

    def ask(self, command, *asked):
        import tango

        try:
            return self._proxy.command_inout(command, list(asked))
        except tango.DevFailed as refused:
            return f"{refused.args[0].reason}: {refused.args[0].desc}"

    def ask_with(self, command, asked):
        return self._proxy.command_inout(command, asked)

    def ask_until_over(self, command, back, length):
        """Ask for the `length` frames that end `back` before the last one, again and again: first frames, answers."""
        import tango

        answers = []
        while self._proxy.state() == tango.DevState.RUNNING or not answers:
            first = self._proxy.nFramesAcquired - back - length + 1
            if first >= 1:
                answers.append((first, self.ask(command, -1 if "Spect" in command else 0, first, first + length - 1)))
        return answers


class Keeper:
    """Keeps the frames of the series that ended last."""

    def __init__(self, endpoint: str):
        self._ended = threading.Condition()
        self._over: list[list[Block]] = []
        self._receiver = Receiver(endpoint, "keeper", credit=16)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        blocks = []
        while True:
            match self._receiver.receive(1.0):
                case Header():
                    blocks = []
                case Block() as block:
                    blocks.append(block)
                case SeriesEnd():
                    with self._ended:
                        self._over.append(blocks)
                        self._ended.notify_all()

    def frames(self, count):
        """Spectra, scalers, factors and status of series `count` since the beginning."""
        with self._ended:
            assert self._ended.wait_for(lambda: len(self._over) >= count, 60), len(self._over)
            blocks = self._over[count - 1]
        parts = zip(*(block.parts() for block in blocks), strict=True)
        mca, scalers, factors, frames = (np.concatenate(part) for part in parts)
        return mca, scalers, factors, frames["status"]

    def ended(self):
        with self._ended:
            return len(self._over)


class ReaderPair(Pair):
    """A server, a client that reads frames, and a subscriber."""

    tango_client = FrameReader

    def __init__(self, directory, **tables):
        super().__init__(directory, **tables)
        self.keeper = Desk(Keeper, self.server.data)
        self.desks.append(self.keeper)
        self.tango.write("WriteHdf5", False)

    def acquire(self, frames, exposure=0.002):
        """Do a series; return what the stream delivered of it."""
        before = self.keeper.ended()
        self.set(frames, exposure)
        assert self.tango.run("Arm") == ""
        self.tango.wait_for("STANDBY")
        return self.keeper.frames(before + 1)

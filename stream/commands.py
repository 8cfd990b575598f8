"""The one queue through which every put of every client goes, first in, first out, and what happens to a put."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from xsp3ioc.sdk import Xspress3Error
from xsp3ioc.stream.parameter import SLOTS, Index, Parameter
from xsp3ioc.stream.putlog import note, said
from xsp3ioc.stream.series import Series
from xsp3ioc.stream.store import Store

log = logging.getLogger(__name__)

WATCHDOG = "watchdog"
"""Who puts what no client asked for: not in the log of puts, and refused without a word in the status."""
STARTS = ("acquire", "arm")
"""Commands that start a series."""
FIXED_BY_SERIES = (
    "exposure_time", "frames", "image_mode", "trigger_mode", "array_callbacks", "corrected", "enabled", "frame_time",
    "latency_time", "triggers", "frames_per_trigger", "arm_trigger",
)  # fmt: skip
"""Settings that a running series keeps as they were when it began."""


class Put(Future[None]):
    """Ends when the work of a put is done, or with the reason why it is not; what is cancelled in time never begins."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: Future[None] = Future()
        """Ends when the put is accepted (a series is armed), or with the reason why it is not."""
        self.add_done_callback(lambda done: self.begin(None if done.cancelled() else done.exception()))

    def begin(self, error: BaseException | None = None) -> None:
        """Accept it, or say why not."""
        if self.begun.done():
            return
        if error is None:
            self.begun.set_result(None)
        else:
            self.begun.set_exception(error)


@dataclass(eq=False, slots=True)
class Command:
    """A put: what, who, and who waits for it."""

    name: str
    value: Any
    index: Index = None
    who: str = ""
    future: Put = field(default_factory=Put)
    began: float = 0.0
    """Monotonic time at which it began."""

    def fail(self, error: BaseException) -> None:
        """Answer with an error, unless it is answered."""
        if not self.future.done():
            self.future.set_exception(error)


class CommandQueue:
    """Runs one command after the other in a thread of its own."""

    def __init__(self, execute: Callable[[Command], None], lock: threading.RLock) -> None:
        """`execute` answers the command; `lock` guards the queue, so that its owner can look at both at once."""
        self._execute = execute
        self._commands: deque[Command] = deque()
        self._filled = threading.Condition(lock)
        self.current: Command | None = None
        self.interrupted = threading.Event()
        """Set by a stop: a series that is being armed meanwhile ends at once."""
        self._thread: threading.Thread | None = None
        self._start()

    def submit(self, command: Command) -> None:
        """Queue a command."""
        with self._filled:
            self._commands.append(command)
            self._filled.notify()

    def cancel(self, names: Collection[str]) -> list[Command]:
        """Take all queued commands of those names out again and return them."""
        with self._filled:
            taken = [command for command in self._commands if command.name in names]
            self._commands = deque(command for command in self._commands if command.name not in names)
        return taken

    def replace(self) -> Command | None:
        """Leave a command that does not come back, and its thread, behind; return the command."""
        with self._filled:
            stuck, self.current = self.current, None
            self._start()
        return stuck

    @property
    def left_behind(self) -> bool:
        """Whether the command that asks was given up: what it has waited for comes too late."""
        return threading.current_thread() is not self._thread

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        mine = threading.current_thread()
        while True:
            with self._filled:
                while not self._commands:
                    self._filled.wait()
                    if self._thread is not mine:
                        self._filled.notify()
                        return
                command = self._commands.popleft()
                command.began = time.monotonic()
                self.current = command
                self.interrupted.clear()
            try:
                self._execute(command)
            except Exception as error:  # whatever it is, the next put must not wait for ever
                log.exception("Put of %s failed", command.name)
                command.fail(error)
            with self._filled:
                if self._thread is not mine:
                    return
                self.current = None


class Commanded(Store, ABC):
    """A store whose values are put through the queue; a put of `name` is done by `_put_<name>`, if there is one."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.series: Series | None = None
        """The series that runs."""
        self.closing = False
        """The server stops: nothing new begins."""
        self._queue = CommandQueue(self._execute, self._lock)
        self._showing = threading.Lock()
        """Held while data are shown, or zeroed: what a frame says never comes behind what was done after it."""

    @property
    def starting(self) -> bool:
        """Whether a series is being started just now."""
        command = self._queue.current
        return command is not None and command.name in STARTS and not command.future.begun.done()

    def put(self, name: str, value: Any, index: Index = None, who: str = "") -> Put:
        """Queue a put; never waits.

        `acquire` = 1 and `arm` = 1 are done when the series is over, `capture` = 1 when the file is closed. `acquire` =
        0 overtakes the queue: a stop is answered within a second in every state.
        """
        command = Command(name, value, index, who)
        parameter = self.parameters.get(name)
        if parameter is None or not parameter.writable:
            label = parameter.label if parameter else name
            error = ValueError(f"{label} cannot be written")
            note(who, label, said(value), refused=error)
            command.fail(error)
        elif name == "acquire" and self._means_stop(value):
            note(who, parameter.label, said(False, parameter), said(self.values["acquire"], parameter))
            self._stop(command)
        else:
            self._queue.submit(command)
        return command.future

    def _means_stop(self, value: Any) -> bool:
        try:
            return not self.parameters["acquire"].convert(value)
        except ValueError:
            return False  # refused in its turn

    def _execute(self, command: Command) -> None:
        if not command.future.set_running_or_notify_cancel():
            return
        name, index = command.name, command.index
        parameter = self.parameters[name]
        old, found = None, False
        try:
            self._check_index(parameter, index)
            old, found = self.get(name, index), True
            value = parameter.convert(command.value)
            handler = getattr(self, f"_put_{name}", None)
            pending = None
            if handler:
                pending = handler(value, index)
            else:
                self.update(name, value, index=index)
            label = parameter.label_of(index)
            if command.who != WATCHDOG:
                self.forget_refusal()
                note(command.who, label, said(value, parameter), said(old, parameter))
            if self.series is not None and name in FIXED_BY_SERIES and value != old:
                self.say(f"{label} = {parameter.text(value)} is for the next series")
        except Exception as raised:
            error = raised
            if found and type(raised) is ValueError:
                # The declaration speaks of all channels; this is about one.
                error = ValueError(str(raised).replace(parameter.label, parameter.label_of(index)))
            if self._queue.left_behind:
                log.error("%s, given up before, has ended: %s", parameter.label, error)
                return
            if not isinstance(error, ValueError | RuntimeError | OSError | Xspress3Error):
                log.exception("Put of %s failed", name)
            if command.who == WATCHDOG:
                log.debug("%s: %s", parameter.label, error)
            else:
                was = said(old, parameter) if found else None
                label = parameter.label_of(index) if found else parameter.label
                note(command.who, label, said(command.value, parameter), was, error)
                if found:
                    self.refuse(name, index, error)
            command.fail(error)
            return
        if pending is None:
            self._answer(command, None)
        else:
            command.future.begin()
            pending.add_done_callback(lambda done: self._answer(command, done.exception()))

    def _check_index(self, parameter: Parameter, index: Index) -> None:
        channel, *slot = index if isinstance(index, tuple) else (index,)
        if parameter.per_channel and (channel is None or not 0 <= channel < self.values["channels"]):
            raise ValueError(f"{parameter.label}: channel {channel} is not in 0..{self.values['channels'] - 1}")
        if parameter.per and (not slot or not 0 <= slot[0] < SLOTS[parameter.per]):
            raise ValueError(f"{parameter.label}: {parameter.per} {slot} is not in 0..{SLOTS[parameter.per] - 1}")

    def _put_log_level(self, value: int, index: Index) -> None:
        # Of this program; what libraries log is limited where logging is set up.
        logging.getLogger("xsp3ioc").setLevel(self.parameters["log_level"].names[value].upper())
        self.update("log_level", value)

    @staticmethod
    def _answer(command: Command, error: BaseException | None) -> None:
        if error is not None:
            command.fail(error)
        elif not command.future.done():
            command.future.set_result(None)

    @abstractmethod
    def _let_close(self) -> None:
        """Let a file that ends be closed, and its end be shown, before what was put behind that."""

    @abstractmethod
    def _stop(self, command: Command) -> None:
        """End the series now and answer within a second."""


"""What has gone wrong so far in an emulated library: the faults that its settings ask for, as they come."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.constants import Status
from xsp3ioc.sdk.emulator.faults import CardLost, Failure, Faults, Forever
from xsp3ioc.sdk.emulator.run import Held, Run
from xsp3ioc.sdk.emulator.system import System

Refused = tuple[int, str]
"""Status and message of a call that is refused."""

_SHARED_MEMORY = Path("/dev/shm")
_NORMAL = 38.5
"""Degrees Celsius of the coolest sensor."""
_STEP = 0.1  # seconds between looks at whether the interpreter wants to exit

_CONFIGURING = {"xsp3_config", "xsp3_config_init"}
_CARDS, _CARD_INDEX = 0, 9
"""Where their arguments say how many cards, and which is the first."""
_RESTORING = {"xsp3_restore_settings", "xsp3_restore_settings_and_clock"}
_ASKING_BUSY = {"xsp3_histogram_is_any_busy", "xsp3_histogram_is_busy"}
_STARTING = {"xsp3_histogram_start", "xsp3_histogram_arm", "xsp3_system_start_count_enb"}
_STOP, _CLOSE, _PERIOD = "xsp3_histogram_stop", "xsp3_close", "xsp3_get_clock_period"
_WATCHED = _CONFIGURING | _STARTING | _ASKING_BUSY | {_STOP, _CLOSE, _PERIOD}
_WITHOUT_BOX = {"xsp3_close", "xsp3_get_error_message"}
_FROM_LIBRARY = _WITHOUT_BOX | {
    "xsp3_get_num_chan", "xsp3_get_max_num_chan", "xsp3_get_num_cards", "xsp3_get_chans_per_card",
    "xsp3_get_num_chan_used", "xsp3_get_bins_per_mca", "xsp3_get_generation", "xsp3_get_clock_period", "xsp3_has_itfg",
    "xsp3_is_xsp3m_plus", "xsp3_resolve_path", "xsp3_get_features", "xsp3_has_roi", "xsp3_has_get_data_ptr",
    "xsp3_get_format", "xsp3_get_num_tf", "xsp3_scaler_get_num_tf", "xsp3_get_run_flags", "xsp3_set_run_flags",
    "xsp3_scaler_check_progress", "xsp3_scaler_check_progress_details", "xsp3_histogram_is_any_busy",
    "xsp3_histogram_is_busy", "xsp3_histogram_get_circ_overrun", "xsp3_histogram_get_tf_status",
    "xsp3_histogram_get_tf_status_block", "xsp3_histogram_get_tf_markers", "xsp3_histogram_get_dropped",
    "xsp3_getDeadtimeCorrectionFlags", "xsp3_getDeadtimeCorrectionParameters", "xsp3_getDeadtimeCorrectionParameters2",
    "xsp3_getDeadtimeCalculationEnergy", "xsp3_setDeadtimeCalculationEnergy",
    "xsp3_calculateDeadtimeCorrectionFactors", "xsp3_calculateDeadtimeCorrectionFactors_sf",
}  # fmt: skip
"""Functions that the library answers itself; a lost card does not show in them."""
_FROM_HOST_MEMORY = {
    "xsp3_histogram_read4d", "xsp3_histogram_read3d", "xsp3_histogram_read_chan", "xsp3_calib_histogram_read3d",
    "xsp3_scaler_read", "xsp3_scaler_read_sf", "xsp3_scaler_dtc_read", "xsp3_scaler_dtc_read_sf",
    "xsp3_hist_dtc_read4d", "xsp3_hist_dtc_read4d_sf", "xsp3_hist_dtc_read3d", "xsp3_histogram_circ_ack",
    "xsp3_histogram_clear", "xsp3_histogram_get_data_ptr",
}  # fmt: skip
"""The same where frames are in the host's memory; where they are in the card's, these fail with it."""


class Incidents:
    """Looked at `before` and `after` every call of an emulated function.

    The faults count the cards of the whole settings; a connection may begin with another than the first of them.
    """

    def __init__(self, faults: Faults, clock: Callable[[], int], sleep: Callable[[float], None]) -> None:
        self._faults = faults
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._configured: int | None = None  # when, ns; the faults' times count from there
        self._stopped: int | None = None
        self._first_card = 0  # of the connection
        self._run: Run | None = None
        self._lost: dict[int, int | None] = {}  # card: when it is back, ns
        self._was_counting = False  # when a card was lost
        self._to_come = {"card_lost", "power_cycle", "overheat", "overrun", "overwrite"}
        self._forgotten: System | None = None  # that was power-cycled
        self._leaked = 0

    def before(self, name: str, arguments: tuple[Any, ...], system: System | None) -> Refused | None:
        """Let happen what is due; returns the answer of a function that is not to do its work."""
        with self._lock:
            self._calls[name] += 1
            number = self._calls[name]
        call, seconds = self._faults.hang.get(name, (0, 0.0))
        if number == call and not self._wait(seconds):
            return Status.error, f"{name} was waiting when the program ended"
        refused = self._failure(name, number)
        if refused is None and name in _CONFIGURING:
            refused = self._no_connection(arguments)
        if refused is None and name in _RESTORING:
            refused = self._bad_settings(bool(arguments[2]))
        if refused is None and system is not None and name not in _CONFIGURING:  # their first argument is no handle
            with system.lock:
                self._look(system)
            refused = self._dead(name, arguments, system)
        return refused

    def after(self, name: str, arguments: tuple[Any, ...], system: System | None, result: Any) -> Any:
        """Return what a function answers that did its work and would answer `result`."""
        if name not in _WATCHED or result < 0:
            return result
        if name in _CONFIGURING:
            self._configured = self._clock() if self._configured is None else self._configured
            self._was_counting, self._stopped, self._forgotten = False, None, None
            self._first_card = max(arguments[_CARD_INDEX], 0)
        elif name == _CLOSE:
            self._leaked = self._faults.leak
            if self._faults.leak_segment:
                (_SHARED_MEMORY / self._faults.leak_segment).touch()
        elif name == _STOP:
            self._stopped = self._clock()
        elif name in _STARTING:
            self._stopped = None
        elif name in _ASKING_BUSY:
            return int(bool(result) or self._still_busy())
        elif name == _PERIOD and self._faults.clock_period is not None:
            return self._faults.clock_period
        return result

    def warmth(self, card: int) -> float:
        """Degrees by which a card of the connection is warmer than normal."""
        heat = self._faults.overheat
        if heat is None or self._first_card + card != heat.card:
            return 0.0
        done = (self._elapsed() - heat.after) / heat.within
        return (heat.temperature - _NORMAL) * min(max(done, 0.0), 1.0)

    def _wait(self, seconds: float | Forever) -> bool:
        """Sleep; for ever is until the interpreter exits, and False then."""
        if seconds != "ever":
            self._sleep(seconds)
            return True
        main = threading.main_thread()
        while main.is_alive():
            self._sleep(_STEP)
        return False

    def _failure(self, name: str, number: int) -> Refused | None:
        failure = self._faults.fail.get(name)
        if isinstance(failure, int):
            failure = Failure(call=failure)
        if failure is None or not failure.call <= number < failure.call + failure.times:
            return None
        return failure.status, failure.message or f"{name}: failure asked for by the emulator's settings"

    def _no_connection(self, arguments: tuple[Any, ...]) -> Refused | None:
        attempt = sum(self._calls[name] for name in _CONFIGURING)
        if attempt <= self._faults.config_refused:
            return Status.device_not_found, "the box does not answer on its control port"
        first, now = max(arguments[_CARD_INDEX], 0), self._clock()
        for card, back in list(self._lost.items()):
            if back is not None and now >= back:
                del self._lost[card]
            elif first <= card < first + arguments[_CARDS]:
                return Status.device_not_found, f"card {card} does not answer"
        segment = self._faults.leak_segment
        if segment and (_SHARED_MEMORY / segment).exists():
            return Status.out_of_memory, f"cannot create shared memory {_SHARED_MEMORY / segment}: it exists"
        if self._leaked:
            self._leaked -= 1
            return Status.out_of_memory, "cannot allocate the histogram memory: what was closed still holds it"
        return None

    def _bad_settings(self, force: bool) -> Refused | None:
        if self._faults.settings == "missing":
            return Status.cannot_open_file, "cannot open the settings: no such file"
        if self._faults.settings == "unreadable":
            return Status.file_read_failed, "cannot read the settings: unexpected end of file"
        if self._faults.settings == "mismatch" and not force:
            return Status.error, "the settings are for another major revision of the firmware"
        return None

    def _elapsed(self) -> float:
        """Seconds since the first successful xsp3_config."""
        return 0.0 if self._configured is None else (self._clock() - self._configured) * 1e-9

    def _look(self, system: System) -> None:
        """Let happen what is due by now; with the system's lock held."""
        faults, run = self._faults, system.run
        if self._run is not None and self._run.ring.forced is None:
            self._to_come.discard("overrun")
        if run is not None and run is not self._run:
            self._run = run
            if "overrun" in self._to_come:
                run.ring.forced = faults.overrun
            lost = faults.card_lost
            if lost is not None and lost.frame is not None and "card_lost" in self._to_come:
                run.losses.lose(self._channels_of(system, lost.card), lost.frame)
        for what, fault in (("card_lost", faults.card_lost), ("power_cycle", faults.power_cycle)):
            if fault is None or what not in self._to_come:
                continue
            if fault.frame is not None:
                due = run is not None and run.first + run.timeline.begun(system.now) > fault.frame
            else:
                due = self._elapsed() >= (fault.after or 0.0)
            if due:
                self._to_come.discard(what)
                if isinstance(fault, CardLost):
                    self._lose(system, fault.card, fault.back, fault.after, fault.frame)
                else:
                    system.stop()
                    self._forgotten = system
        self._look_at_heat(system)

    def _look_at_heat(self, system: System) -> None:
        heat = self._faults.overheat
        if heat is None or "overheat" not in self._to_come or not self._has(system, heat.card):
            return
        card = heat.card - self._first_card
        limit = system.electronics.cards[card].temperature_limit
        if _NORMAL + self.warmth(card) >= limit:
            self._to_come.discard("overheat")
            needed = max(limit - _NORMAL, 0.0) / max(heat.temperature - _NORMAL, 1e-9)
            self._lose(system, heat.card, None, heat.after + heat.within * min(needed, 1.0), None)

    def _lose(self, system: System, card: int, back: float | None, after: float | None, frame: int | None) -> None:
        """Let a card be lost: in that frame, or so many seconds after the configuration."""
        self._lost[card] = None if back is None else self._clock() + round(back * 1e9)
        if not self._has(system, card) or system.run is None:
            return
        run, lost = system.run, frame
        self._was_counting = True
        if lost is None:
            since = round(max(self._elapsed() - (after or 0.0), 0.0) / system.settings.family.clock_period)
            then = system.now - since
            self._was_counting, lost = run.timeline.running(then), run.complete(then)
        run.losses.lose(self._channels_of(system, card), lost)

    def _has(self, system: System, card: int) -> bool:
        return 0 <= card - self._first_card < system.cards

    def _channels_of(self, system: System, card: int) -> range:
        return system.channels_of(card - self._first_card) if self._has(system, card) else range(0)

    def _dead(self, name: str, arguments: tuple[Any, ...], system: System) -> Refused | None:
        if name in _WITHOUT_BOX:
            return None
        if system is self._forgotten and name != "xsp3_get_revision":
            return Status.error, "the box was power-cycled and knows nothing any more: configure it again"
        if not self._lost or name in _FROM_LIBRARY:
            return None
        if name in _FROM_HOST_MEMORY and not system.settings.family.compulsory_acknowledge:
            return None
        called = {self._first_card + card for card in _cards(name, arguments, system)}
        for card in sorted(called & self._lost.keys()):
            return Status.device_not_found, f"{name}: card {card} does not answer"
        return None

    def _still_busy(self) -> bool:
        if self._was_counting:
            return True
        stuck = self._faults.stuck_busy
        if self._stopped is None or not stuck:
            return False
        return stuck == "ever" or (self._clock() - self._stopped) * 1e-9 < stuck

    def overwrite_one_of(self, held: Held, run: Run) -> None:
        """Overwrite the frame that is to be, if it is among these that are being read; with the lock held."""
        frame = self._faults.overwrite
        if frame is None or "overwrite" not in self._to_come:
            return
        if any(first <= frame < first + frames for first, frames in held.pieces):
            self._to_come.discard("overwrite")
            run.overwrite(frame)


def _cards(name: str, arguments: tuple[Any, ...], system: System) -> set[int]:
    """Return the cards of the connection that a call is about, by the names of its parameters."""
    named = dict(zip(prototypes()[name].parameters, arguments, strict=False))
    if named.get("card", -1) >= 0:
        return {named["card"]}
    channel = next((named[key] for key in ("chan", "first_chan", "detector") if key in named), -1)
    if channel < 0:
        return set(range(system.cards))
    last = channel + named.get("num_chan", 1) - 1
    per_card = system.settings.channels_per_card
    return {card for card in range(system.cards) if channel // per_card <= card <= last // per_card}

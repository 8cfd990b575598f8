"""What is believed about the library without having seen hardware, and what tests it: see docs/hardware.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from xsp3ioc import hardware_correction as correction
from xsp3ioc import hardware_memory as memory
from xsp3ioc import hardware_runs as runs
from xsp3ioc.hardware_bench import Bench, Differs, Inconclusive, NotTestable
from xsp3ioc.hardware_report import DIFFERS, NOT_TESTABLE, OK, Finding
from xsp3ioc.sdk import MissingFunction, Xspress3Error
from xsp3ioc.sdk.emulator.replay import TraceError

ATTEMPTS = 3
_NOT_EMULATED = "is not emulated"


class Statement(NamedTuple):
    """A statement of the reference: its section, whether it is our inference, and its test or why there is none."""

    key: str
    where: str
    inferred: bool
    says: str
    test: Callable[[Bench], str] | None = None
    why_not: str = ""
    goes_on: bool = False
    """The next test looks at the same run: it is not stopped."""


def _told(key: str, where: str, says: str, test: Callable[[Bench], str]) -> Statement:
    return Statement(key, where, False, says, test)


def _of_burst(key: str, where: str, says: str, test: Callable[[Bench], str]) -> Statement:
    return Statement(key, where, False, says, test, goes_on=True)


def _inferred(key: str, where: str, says: str, test: Callable[[Bench], str]) -> Statement:
    return Statement(key, where, True, says, test)


def _untested(key: str, where: str, says: str, why_not: str) -> Statement:
    return Statement(key, where, True, says, None, why_not)


STATEMENTS = (
    _told("idle-stop", "6", "a stop succeeds before the first start", runs.stop_without_run),
    _told("clocks", "2.3", "clocks_setup returns 0 on an Xspress3, else the frequency in Hz", memory.clock_answers),
    _told("default-format", "4.6", "before it is formatted the memory has 4096 bins x 1", memory.default_format),
    _of_burst("burst", "4.3", "a burst of ten frames gives ten frames and no error flags", runs.burst),
    _of_burst("itfg", "2.5", "the generator's set-up reads back", runs.generator_read_back),
    _of_burst("finished", "4.3", "after the last frame finished is 1, running and counting are 0", runs.finished_bit),
    _of_burst("status", "4.5", "a complete frame has state 1 and its own number, on each channel", runs.frame_status),
    _of_burst("ticks", "4.8", "scaler 0 = scaler 8 = exposure within 2, frame to frame within 1", runs.exposure_ticks),
    _of_burst("invariants", "4.8", "AllGood, windows, AllEvent, reset ticks agree with the spectra", runs.invariants),
    _told("stay", "4.1", "a stop leaves data and progress, clears finished, and ends being busy", runs.data_stay),
    _told("ack", "4.5", "an acknowledged frame has state 0; twice is an error only on Mini and 3X", memory.acknowledge),
    _inferred("restart", "4.1", "a start while running begins the run again", runs.restart),
    _inferred("part-frame", "4.1", "a stop closes the generator's part-counted frame", runs.part_frame),
    _told("software", "4.2", "pause closes a software frame, continue opens the next", runs.software_frames),
    _inferred("itfg-start", "4.3", "a start triggers the software-triggered generator at once", runs.software_start),
    _inferred("lost-triggers", "4.3", "triggers that arrive during a frame are lost", runs.lost_triggers),
    _inferred("filling", "4.5", "without the circular flag filling stops at a full memory", memory.filling_stops),
    _told("wrap", "4.5", "in circular mode frames go on beyond the memory, numbered in 64 bits", memory.wrap),
    _inferred("overrun", "4.5", "not acknowledged: Mini and 3X stop, the others overwrite and count", memory.overrun),
    _inferred("gap", "3.4", "the gap modes are 2, 16, 40 and 80 cycles", runs.gap),
    _told("period", "2.2", "get_clock_period is the period of the clock", runs.clock_period),
    _inferred("fit", "4.6", "frames that fit are num_tf * 4096 / bins", memory.frames_that_fit),
    _inferred("region", "4.6", "the upper limit of a region is inclusive", memory.region_limits),
    _inferred("live-ticks", "4.9", "the dead-time model takes its ticks from scaler 0", correction.live_ticks),
    _inferred("factor", "4.9", "dtcFactor is ticks/(ticks - reset) * exp(2 Tp r)", correction.factor_composition),
    _inferred("input", "4.9", "inpEst is the input rate times the exposure", correction.input_composition),
    _inferred("dtc-read", "4.9", "hist_dtc_read4d is spectrum times dtcFactor", correction.corrected_spectra),
    _told("settings", "4.10", "settings saved and restored are the same", memory.settings_round_trip),
    _inferred("mark2", "4.12", "an Xspress 3X Mk2 reports the Mini's generation", memory.mark2_generation),
    _inferred("refusals", "2.1", "bad handle -2, card or channel -3 or -4, argument -6, with a text", memory.refusals),
    _untested(
        "fit-rest", "4.6", "num_tf * 4096 / (bins * rows) is rounded down where it does not divide",
        "it does for numbers of frames that are a multiple of 16, and auxiliary rows are never formatted",
    ),
    _untested(
        "p3", "2.11", "the other engineering functions need not be exported", "a choice for the emulator, not a fact"
    ),
    _untested(
        "close", "2.12", "a close with two arguments is harmless", "concerns C programs compiled for another header"
    ),
    _untested(
        "sync", "3.4", "sync modes below 64 are safe beside the card of the global reset",
        "would declare another cabling than there is; only modes 0 and 4 are used",
    ),
    _untested(
        "omit", "4.9", "the factor of a channel with OMIT_CHANNEL is 1",
        "our choice, not the library's; OMIT_CHANNEL is never set",
    ),
    _untested(
        "settings-format", "4.10", "the emulator's settings directory has a format of its own",
        "concerns the emulator; the names of the real files are reported",
    ),
    _untested(
        "mark2-rest", "4.12", "an Xspress 3X Mk2 is like a Mini: aux data, regions, progress before arm",
        "needs a Mk2 and its manual; its acknowledging is tested with the Mini's",
    ),
    _untested(
        "marker-channels", "2.4", "prototypes of read_marker_chan and setup_marker_chan",
        "a wrong prototype can crash the process; never called",
    ),
    _untested(
        "mark2-symbol", "2.2", "prototype of is_xsp3m_plus", "called when it is there; its answer is in the report"
    ),
    _untested(
        "python-3.13", "5.1", "what a client's parser of the header does from Python 3.13 on", "no hardware in it"
    ),
)  # fmt: skip
"""In the order in which they are tested."""


def examine(statement: Statement, bench: Bench) -> Finding:
    """Test one statement; whatever it finds, the next can be tested. Only what ends programs is raised."""
    if statement.test is None:
        return _finding(statement, NOT_TESTABLE, statement.why_not)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _finding(statement, OK, statement.test(bench))
        except Inconclusive as error:
            if attempt == ATTEMPTS:
                return _finding(statement, NOT_TESTABLE, str(error))
        except (NotTestable, TraceError) as error:
            return _finding(statement, NOT_TESTABLE, str(error))
        except Differs as error:
            return _finding(statement, DIFFERS, str(error))
        except MissingFunction as error:
            return _finding(statement, NOT_TESTABLE, str(error))
        except (Xspress3Error, ValueError) as error:
            emulator_cannot = str(getattr(error, "message", "")).endswith(_NOT_EMULATED)
            return _finding(statement, NOT_TESTABLE if emulator_cannot else DIFFERS, str(error))
        finally:
            if not statement.goes_on:
                _stop(bench)
    return _finding(statement, NOT_TESTABLE, "")


def _stop(bench: Bench) -> None:
    try:
        bench.handle.stop()
    except (Xspress3Error, TraceError):
        pass  # the next test says what is wrong


def _finding(statement: Statement, outcome: str, found: str) -> Finding:
    return Finding(statement.key, statement.where, statement.says, outcome, found)

"""`xsp3ioc info`: what is in a file, on the terminal."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from xsp3ioc.file_command import EXIT_OK, EXIT_UNREADABLE, complain, console, counted, progress, run, write_json
from xsp3ioc.hardware_report import plain
from xsp3ioc.receivers.durations import duration
from xsp3ioc.receivers.sparkline import curve_line, last_bin, spectrum_line

if TYPE_CHECKING:
    from xsp3ioc.receivers.contents import Contents

WIDTH = 60
"""Characters of a spectrum."""
MOST_SERIES = 12
"""Series that are shown one by one."""
LONG = 10.0
"""s from which on a file's rates over time are shown."""


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc info`; return the exit code: 0, or 2 if a file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc info",
        description="Show what is in a file: when and from where, settings, and counts, rates and spectra per channel.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="of xsp3ioc, xspress3-streamer or areaDetector")
    parser.add_argument("--json", action="store_true", help="one JSON document, with the summed spectra")
    parser.add_argument("--no-spectra", action="store_true", help="do not read the spectra: quicker")
    return run("info", _info, parser.parse_args(arguments))


def _info(options: argparse.Namespace) -> int:
    from xsp3ioc.receivers.contents import contents
    from xsp3ioc.receivers.opening import UnreadableError

    code, documents, out = EXIT_OK, [], console()
    for number, path in enumerate(options.files):
        try:
            with progress(os.path.basename(path)) as tell:
                found = contents(path, tell, with_spectra=not options.no_spectra)
        except UnreadableError as error:
            code = EXIT_UNREADABLE
            documents.append({"path": path, "error": str(error)})
            complain("info", error)
            continue
        documents.append(as_dict(found, not options.no_spectra))
        if not options.json:
            if number:
                out.print()
            _show(found, out, not options.no_spectra)
    if options.json:
        write_json("info", code, {"files": documents})
    return code


def as_dict(found: Contents, with_spectra: bool) -> dict[str, Any]:
    """Return a file's contents for JSON; its channels are counted from 1, as in PVs."""
    names = (
        "path", "layout", "state", "simulated", "bytes", "frames", "bins", "counts", "end_time", "storage", "facts",
        "settings", "clock_assumed", "series_count", "series",
    )  # fmt: skip
    sums = found.sums
    channels = [
        {
            "channel": channel + 1,
            **{name: values[channel] for name, values in found.channel_settings.items()},
            "all_good": sums.good[channel],
            "all_events": sums.events[channel],
            "counting_time": sums.seconds[channel],
            "output_count_rate": sums.output_rate[channel],
            "input_count_rate": sums.input_rate[channel],
            "dead_time_percent": sums.dead_time[channel],
            "rois": found.rois[channel] if channel < len(found.rois) else [],
            **({"spectrum": found.spectra[channel]} if with_spectra else {}),
        }
        for channel in range(found.channels)
    ]
    rates = {"output_count_rate": found.over_time.output_rate, "input_count_rate": found.over_time.input_rate}
    return {**{name: getattr(found, name) for name in names}, "channels": channels, "rates_over_time": rates}


def _show(found: Contents, out: Console, with_spectra: bool) -> None:
    out.print(Text(plain(found.path), style="bold"))
    if found.simulated:
        out.print(Text("SIMULATED data: no detector was there", style="bold yellow"))
    out.print(_grid(_facts(found)))
    out.print()
    out.print(_channels(found))
    if with_spectra and found.spectra.any():
        out.print()
        for line in _spectra(found):
            out.print(line, soft_wrap=True)
    if _lasted(found) >= LONG:
        out.print()
        for line in _rates(found):
            out.print(line, soft_wrap=True)
    if found.series_count > 1:
        out.print()
        out.print(_series(found))


def _facts(found: Contents) -> Iterator[tuple[str, str]]:
    facts, settings, counts = found.facts, found.settings, found.counts
    if facts.get("title"):
        yield "title", facts["title"]
    yield "layout", f"{found.layout}, {found.state}"
    if start := facts.get("start"):
        lasted = f"; {duration(_lasted(found))}" if _lasted(found) else ""
        yield "begun", f"{start}{lasted}"
    if found.end_time:
        yield "closed", found.end_time
    lost = counts["overrun"] + counts["missing"]
    what = f"{counted(found.frames, 'frame')} x {counted(found.channels, 'channel')} x {found.bins} bins"
    if lost:
        what += f"; {lost:,} LOST ({counts['overrun']:,} overrun, {counts['missing']:,} missing)"
    if counts["unreadable"]:
        what += f"; {counts['unreadable']:,} UNREADABLE: xsp3ioc check says where"
    yield "data", what
    if facts.get("parts"):
        gone = facts.get("parts_not_there")
        yield "parts", facts["parts"] + (f"; NOT THERE: {gone}" if gone else "")
    raw = found.frames * found.channels * found.bins * 4
    virtual = "virtual" in found.storage and not facts.get("parts")
    smaller = f" ({raw / found.bytes:.1f} times smaller)" if raw > found.bytes and not virtual else ""
    yield "stored", f"{found.storage}; {found.bytes / 1e6:,.1f} MB{' beside them' if virtual else smaller}"
    if facts.get("detector"):
        yield "detector", ", ".join(
            words for words in (facts["detector"], _named(facts, "library"), _named(facts, "firmware")) if words
        )
    if facts.get("program"):
        yield "server", f"{facts['program']} on {facts.get('host', '?')}"
    if settings.get("trigger_mode"):
        exposure = f", {_time(settings['exposure'])} per frame" if settings.get("exposure") else ""
        gap = f", {_time(settings['gap'])} between" if settings.get("gap") else ""
        yield "trigger", f"{settings['trigger_mode']}{exposure}{gap}"
    clock = settings.get("clock_period")
    yield "clock", f"{1e-6 / clock:g} MHz" if clock else "not in the file: 80 MHz assumed for all rates"
    if settings.get("dead_time_model"):
        yield "model", f"{settings['dead_time_model']}, for the dead time"
    same = [f"{name} {value[0]}" for name, value in _channel_settings(found).items() if len(set(value)) == 1]
    if same:
        yield "channels", f"{', '.join(same)}"


def _named(facts: dict[str, str], name: str) -> str:
    return f"{name} {facts[name]}" if facts.get(name) else ""


def _grid(rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(plain(value)))
    return table


def _channels(found: Contents) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    settings = {name: value for name, value in _channel_settings(found).items() if len(set(value)) > 1}
    for name in ("channel", "counts", "OCR (cps)", "ICR (cps)", "dead time", *settings):
        table.add_column(name, justify="right", no_wrap=True)
    sums = found.sums
    for channel in range(found.channels):
        table.add_row(
            str(channel + 1), f"{sums.good[channel]:,.0f}", f"{sums.output_rate[channel]:,.0f}",
            f"{sums.input_rate[channel]:,.0f}", f"{sums.dead_time[channel]:.2f} %",
            *(values[channel] for values in settings.values()),
        )  # fmt: skip
    return table


def _channel_settings(found: Contents) -> dict[str, list[str]]:
    """Return what is set for each channel, in words."""
    settings = found.channel_settings
    words = {}
    for name, label, form in (
        ("good_threshold", "good from", "bin {:g}"),
        ("event_width", "event width", "{:g} ticks"),
        ("energy_offset", "bin 0 at", "{:g} eV"),
        ("energy_slope", "bin width", "{:g} eV"),
    ):
        if name in settings:
            words[label] = [form.format(value) for value in settings[name]]
    for window in range(2 if "windows" in settings else 0):
        words[f"window {window + 1}"] = ["bins {}-{}".format(*one[window]) for one in settings["windows"]]
    return words


def _spectra(found: Contents) -> Iterator[Text]:
    """Yield a line for each channel, and the axis."""
    last = last_bin(found.spectra)
    number = len(str(found.channels))
    yield Text("Summed spectra, logarithmic", style="dim")
    for channel in range(found.channels):
        curve = spectrum_line(found.spectra[channel, : last + 1], WIDTH)
        highest = int(found.spectra[channel].max())
        yield Text.assemble(f"{channel + 1:>{number}} ", (curve, "cyan"), (f" {highest:,} counts at most", "dim"))
    right = (found.energy_offset[0] + found.energy_slope[0] * last) / 1000
    label = f"{right:.1f} keV" if found.calibrated else f"bin {last}"
    left = f"{found.energy_offset[0] / 1000:g}" if found.calibrated else "0"
    yield Text(f"{'':{number}} {left}{label:>{WIDTH - len(left)}}", style="dim")


def _rates(found: Contents) -> Iterator[Text]:
    """Yield a line for each channel, and the axis."""
    over_time, number = found.over_time, len(str(found.channels))
    rates = np.where(over_time.seconds > 0, over_time.input_rate, np.nan)
    yield Text("Input count rate (ICR) over time, from 0", style="dim")
    for channel in range(found.channels):
        curve, highest = curve_line(rates[:, channel]), float(np.nanmax(rates[:, channel], initial=0.0))
        yield Text.assemble(f"{channel + 1:>{number}} ", (curve, "cyan"), (f" {highest:,.0f} cps at most", "dim"))
    label = duration(_lasted(found))
    yield Text(f"{'':{number}} 0{label:>{len(rates) - 1}}", style="dim")


def _series(found: Contents) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("series", "first frame", "frames", "lost", "ended"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = found.series[:MOST_SERIES]
    for one in shown:
        ended = _clock(one["ended"]) if one["ended"] else ""
        lost = one["frames"] - one["valid"]
        table.add_row(f"{one['series']}", f"{one['first']:,}", f"{one['frames']:,}", f"{lost:,}", ended)
    if (more := found.series_count - len(shown)) > 0:
        table.add_row("...", f"{more:,} more", "", "", "")
    return table


def _lasted(found: Contents) -> float:
    """Seconds from the begin of the file to its last frame; 0 if that is not known."""
    try:
        start = datetime.fromisoformat(found.facts.get("start", "")).timestamp()
    except ValueError:
        return 0.0
    ends = [one["ended"] for one in found.series if one["ended"]]
    return max(0.0, ends[-1] - start) if ends and found.series_count == len(found.series) else 0.0


def _time(seconds: float) -> str:
    for unit, length in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds / 1e-9:g} ns"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")

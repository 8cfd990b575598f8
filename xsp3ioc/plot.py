"""`xsp3ioc plot`: the summed spectra of a file, as a picture."""

from __future__ import annotations

import argparse
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from xsp3ioc.file_command import EXIT_OK, EXIT_UNREADABLE, EXIT_WRONG, complain, console, progress, run, write_json
from xsp3ioc.hardware_report import plain
from xsp3ioc.picture import Spectra, draw
from xsp3ioc.receivers.drawing import FORMATS, GROUP, NoPictureError, Region

if TYPE_CHECKING:
    from xsp3ioc.receivers.contents import Contents

_REGION = re.compile(r"(?P<name>.+)=(?P<low>[\d.]+)(?:\.\.|-|:)(?P<high>[\d.]+?)")
_FRAMES = re.compile(r"(\d*)(?::|\.\.)(\d*)")


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc plot`; return the exit code: 0, 1 if no picture can be made, 2 if the file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc plot",
        description="Draw the summed spectra of a file on an energy axis, with its ROIs.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="of xsp3ioc, xspress3-streamer or areaDetector")
    add("-o", "--output", type=Path, metavar="PICTURE", help="png, svg or pdf (default: FILE.png)")
    add("--overwrite", action="store_true", help="replace a picture that is there")
    add("--channels", type=_channels, metavar="N,...", help="only these, from 1, e.g. 1,3-4")
    add("--sum", action="store_true", help="one curve: the sum of the channels")
    add("--frames", type=_frames, metavar="A:B", help="only frames A to B-1, from 0; either may be left out")
    add("--linear", action="store_true", help="counts on a linear axis (default: logarithmic)")
    add("--group", type=_group, default=GROUP, metavar="N", help="bins drawn as one point (%(default)s)")
    add("--roi", type=_region, action="append", default=[], metavar="NAME=LOW-HIGH", help="shade this too, keV")
    add("--no-rois", action="store_true", help="do not shade the ROIs of the file")
    add("--json", action="store_true", help="say as JSON what was drawn")
    return run("plot", _plot, parser.parse_args(arguments))


def _channels(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or not 1 <= int(first) <= int(last or first) <= 1000:
            raise argparse.ArgumentTypeError(f"{text!r}: channels are like 1,3-4, from 1 on")
        found += range(int(first) - 1, int(last or first))
    return sorted(set(found))


def _frames(text: str) -> tuple[int, int | None]:
    if not (match := _FRAMES.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: frames are like 0:1000, :1000 or 1000:")
    return int(match[1] or 0), int(match[2]) if match[2] else None


def _group(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r}: 1 to 256")
    return int(text)


def _region(text: str) -> Region:
    match = _REGION.fullmatch(text)
    try:
        if match and (low := float(match["low"])) < (high := float(match["high"])):
            return Region(match["name"], low, high)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: a region is like Fe=6.2-6.6, in keV")


def _plot(options: argparse.Namespace) -> int:
    from xsp3ioc.receivers.contents import contents
    from xsp3ioc.receivers.opening import UnreadableError

    path = options.output or Path(f"{options.file or 'spectra'}.png")
    form = path.suffix.lower().removeprefix(".")
    try:
        if form not in FORMATS:
            raise ValueError(f"{path}: pictures are {', '.join('.' + one for one in FORMATS)}")
        _refuse(path, options)
        first, stop = options.frames or (0, None)
        with progress(os.path.basename(options.file)) as tell:
            found = contents(options.file, tell, first, stop)
        spectra = _spectra(found, options)
        picture = io.BytesIO()
        draw(picture, form, spectra)
        with open(path, "wb" if options.overwrite else "xb") as file:
            file.write(picture.getvalue())
    except UnreadableError as error:
        return _fail(options, EXIT_UNREADABLE, str(error))
    except (ValueError, NoPictureError) as error:
        return _fail(options, EXIT_WRONG, str(error))
    except OSError as error:
        return _fail(options, EXIT_WRONG, f"{path}: {(error.strerror or str(error)).lower()}")
    if gone := found.facts.get("parts_not_there"):
        complain("plot", f"not in the picture, as they are not there: {gone}")
    if options.json:
        write_json("plot", EXIT_OK, _as_dict(found, spectra, path))
    else:
        console().print(f"Picture  {plain(str(path))}", soft_wrap=True)
    return EXIT_OK


def _fail(options: argparse.Namespace, code: int, text: str) -> int:
    if options.json:
        write_json("plot", code, {"path": options.file, "error": text})
    complain("plot", text)
    return code


def _refuse(path: Path, options: argparse.Namespace) -> None:
    """Say before the file is read that the picture cannot be written."""
    if path.exists() and path.samefile(options.file):
        raise ValueError(f"{path} is the file itself")
    if path.exists() and not options.overwrite:
        raise ValueError(f"{path} is there already: --overwrite replaces it, --output NAME takes another name")


def _spectra(found: Contents, options: argparse.Namespace) -> Spectra:
    channels = options.channels or list(range(found.channels))
    if channels[-1] >= found.channels:
        raise ValueError(f"channel {channels[-1] + 1}: the file has {found.channels}")
    counts, offset, slope = found.spectra[channels], found.energy_offset[channels], found.energy_slope[channels]
    names = [f"channel {channel + 1}" for channel in channels]
    if options.sum and len(channels) > 1:
        if len(set(offset)) > 1 or len(set(slope)) > 1:
            raise ValueError("--sum: these channels have different energy calibrations; their bins cannot be added")
        counts, offset, slope = counts.sum(axis=0, keepdims=True), offset[:1], slope[:1]
        names = [f"sum of {len(channels)} channels"]
    regions = list(options.roi)
    if not options.no_rois:
        regions += _rois(found, channels)
    valid = found.counts["valid"]
    title = f"{os.path.basename(found.path)}: sum of {valid:,} {'frame' if valid == 1 else 'frames'}"
    if found.stop - found.first < found.frames:
        title += f", {found.first:,}..{found.stop - 1:,}"
    if found.simulated:
        title += " (simulated)"
    note = ", ".join(one for one in (found.facts.get("detector", ""), found.facts.get("start", "")) if one)
    end = float((offset + slope * (found.bins - 0.5)).max()) / 1000
    for region in options.roi:
        if region.low >= end:
            raise ValueError(f"--roi {region.name}={region.low:g}-{region.high:g}: the spectra end at {end:.4g} keV")
    return Spectra(
        counts, offset.tolist(), slope.tolist(), names, plain(title), regions=regions,
        logarithmic=not options.linear, group=options.group, calibrated=found.calibrated, note=plain(note),
        reach=min(end, max((region.high for region in options.roi), default=0.0)),
    )  # fmt: skip


def _rois(found: Contents, channels: list[int]) -> list[Region]:
    """Return the ROIs of these channels in keV; one that several channels have alike only once."""
    regions = {}
    for channel in channels:
        offset, slope = found.energy_offset[channel], found.energy_slope[channel]
        for name, first, bins in found.rois[channel] if channel < len(found.rois) else []:
            # From the lower edge of the first bin to the upper edge of the last one.
            low, high = (float(offset + slope * (edge - 0.5)) / 1000 for edge in (first, first + bins))
            regions[name, round(low, 3), round(high, 3)] = Region(plain(name), low, high)
    return list(regions.values())


def _as_dict(found: Contents, spectra: Spectra, path: Path) -> dict[str, object]:
    return {
        "path": found.path,
        "picture": str(path),
        "simulated": found.simulated,
        "first": found.first,
        "stop": found.stop,
        "frames": found.counts,
        "curves": [
            {"name": name, "counts": int(counts.sum())}
            for name, counts in zip(spectra.names, spectra.counts, strict=True)
        ],
        "rois": [region._asdict() for region in spectra.regions],
    }

"""A live view of a server, from any machine: `xsp3-view`."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from pathlib import Path

from xsp3ioc.receivers.addresses import MONITOR_PORT, add_address, address
from xsp3ioc.receivers.drawing import FORMATS, NoPictureError, new_figure
from xsp3ioc.receivers.monitor import Monitor, NoAnswerError
from xsp3ioc.receivers.terminal import INTERRUPTED, drop_output, heed_ends
from xsp3ioc.receivers.view_data import UnreadableError, fetch
from xsp3ioc.receivers.view_watcher import View, Watcher


def main(arguments: list[str] | None = None) -> int:
    """Run `xsp3-view`; return the exit code: 1 if there is no answer, no window or no place for what is shown."""
    options = _options(arguments)
    try:
        return _once(options) if options.once else _go_on(options)
    except KeyboardInterrupt:
        return INTERRUPTED if options.once else 0
    except BrokenPipeError:
        drop_output()
        return 0
    except NoAnswerError as error:
        text = f"{error}. {error.hint}"
    except (UnreadableError, NoPictureError) as error:
        text = str(error)
    except ValueError as error:  # of keys
        print(f"xsp3-view: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        text = f"{options.output or 'standard output'}: {(error.strerror or str(error)).lower()}"
    print(f"xsp3-view: {text}", file=sys.stderr)
    return 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="xsp3-view", description="Show the spectra and the state of a running server, live."
    )
    add = parser.add_argument
    add_address(parser, "--connect", "monitor", MONITOR_PORT)
    add("--interval", type=_seconds, default=0.5, metavar="SECONDS", help="between two looks (%(default)s)")
    add("--linear", action="store_true", help="counts on a linear axis (default: logarithmic)")
    add("--total", action="store_true", help="the sum since the last erase (default: the latest frame)")
    add("--text", action="store_true", help="in this terminal, without a window")
    add("--once", action="store_true", help="show what is now, and end")
    add("-o", "--output", type=_picture, metavar="PICTURE", help="save one picture: png, svg or pdf; needs no display")
    options = parser.parse_args(arguments)
    if options.output is not None:
        if options.text:
            parser.error("--text and --output: one of them")
        options.once = True
    elif options.once and not options.text:
        parser.error("--once: what shall be made? --output PICTURE, or --text")
    try:
        options.connect = address(options.connect, MONITOR_PORT)
    except ValueError as error:
        parser.error(str(error))
    return options


def _seconds(text: str) -> float:
    try:
        if 0.05 <= (seconds := float(text)) < math.inf:
            return seconds
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: seconds, 0.05 or more")


def _picture(text: str) -> Path:
    if _form(path := Path(text)) in FORMATS:
        return path
    raise argparse.ArgumentTypeError(f"{text!r}: pictures are {', '.join('.' + form for form in FORMATS)}")


def _form(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _once(options: argparse.Namespace) -> int:
    with Monitor(options.connect) as monitor:
        view = View(options.connect, fetch(monitor))
    if options.text:
        from xsp3ioc.receivers.view_text import print_once

        print_once(view, options.total)
        return 0
    from xsp3ioc.receivers.view_figure import SIZE, Picture

    picture = Picture(new_figure(figsize=SIZE), not options.linear, options.total)
    picture.show(view)
    picture.save(options.output, _form(options.output))
    return 0


def _go_on(options: argparse.Namespace) -> int:
    heed_ends(signal.default_int_handler)  # a terminal gets its cursor back
    watcher = Watcher(options.connect, options.interval)
    try:
        if options.text:
            from xsp3ioc.receivers.view_text import run

            run(watcher, options.total)
        else:
            from xsp3ioc.receivers.view_window import open_window

            open_window(watcher, not options.linear, options.total)
    finally:
        watcher.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`xsp3ioc replay`: a file as the emulated detector of a server, or once through a server and compared."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from xsp3ioc.file_command import complain, console, run, write_json

SAME, DIFFERENT, UNUSABLE = 0, 1, 2
"""Exit codes of --write and --check."""


def main(arguments: Sequence[str]) -> int:
    """Run `xsp3ioc replay`; return the exit code."""
    options, others = _parser().parse_known_args(arguments)
    replayed = ["--replay", str(options.file)]
    if options.end:
        replayed += ["--replay-end", options.end]
    if options.write is None and not options.check:
        from xsp3ioc.__main__ import main as serve

        pace = ["--replay-pace", options.pace] if options.pace else []
        # Settings that were saved for another detector are not the file's.
        told = any(other.startswith(("--autosave", "--no-autosave")) for other in others)
        saving = [] if told else ["--no-autosave"]
        return serve([*replayed, *pace, *saving, *others])
    replayed += ["--replay-pace", options.pace or "reader", *others]
    return run("replay", lambda options: _once(options, replayed), options, "; the server is stopped")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xsp3ioc replay",
        description="Serve an emulated detector whose frames are those of a file, or acquire them once and compare. "
        "All options of the server may follow (xsp3ioc --help).",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="of xsp3ioc, of xspress3-streamer, or of areaDetector")
    parser.add_argument(
        "--pace", choices=("clock", "reader"), help="frames in real time, as long as they were, or as fast as they are "
        "read (default: clock; once: reader)"
    )  # fmt: skip
    parser.add_argument(
        "--end", choices=("wrap", "stop"), help="after the last frame: from the first one again (default), or no more"
    )
    once = parser.add_argument_group("once", "start a server, acquire all frames, compare, end; exit code 0: the same")
    once.add_argument("--write", type=Path, metavar="DIR", help="keep the file that is written, there")
    once.add_argument("--check", action="store_true", help="only compare; nothing is kept")
    once.add_argument("--json", action="store_true", help="tell the outcome in JSON, for programs")
    return parser


def _once(options: argparse.Namespace, arguments: list[str]) -> int:
    from xsp3ioc.demo_client import ClientError
    from xsp3ioc.demo_server import ServerError
    from xsp3ioc.receivers.opening import UnreadableError
    from xsp3ioc.receivers.paths import describe
    from xsp3ioc.receivers.recorded import UnreplayableError
    from xsp3ioc.replay_once import ReplayError, replay_once

    out = console(stderr=options.json)
    try:
        if options.write is not None:
            if options.write.exists() and not options.write.is_dir():
                return _fail(options, f"--write {options.write}: it is a file, not a directory")
            options.write.mkdir(parents=True, exist_ok=True)
            outcome = replay_once(options.file, options.write.resolve(), arguments, out)
        else:
            with tempfile.TemporaryDirectory(prefix="xsp3-replay-") as directory:
                outcome = replay_once(options.file, Path(directory), arguments, out)
                outcome.written = None
    except OSError as error:
        return _fail(options, describe(error, str(options.file)))
    except UnreplayableError as error:
        return _fail(options, f"{options.file} cannot be replayed: {error}")
    except (UnreadableError, ReplayError, ServerError, ClientError) as error:
        return _fail(options, str(error))
    code = DIFFERENT if outcome.complaints else SAME
    if options.json:
        write_json("replay", code, outcome.report())
    for complaint in outcome.complaints:
        complain("replay", complaint)
    if not outcome.complaints:
        out.print(
            f"{outcome.frames} frames: spectra and scalers in the stream and in the file are those of {options.file}.",
            style="green",
        )  # fmt: skip
        if outcome.written:
            out.print(f"File     {outcome.written}", soft_wrap=True)
    return code


def _fail(options: argparse.Namespace, text: str) -> int:
    if options.json:
        write_json("replay", UNUSABLE, {"file": str(options.file), "error": text})
    complain("replay", text)
    return UNUSABLE

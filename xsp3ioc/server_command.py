"""What the commands that ask a running server share: which one, and what they say if it does not answer."""

from __future__ import annotations

import argparse
from typing import TypeVar

import msgspec

from xsp3ioc.receivers import monitor
from xsp3ioc.receivers.addresses import MONITOR_PORT, add_address, address

_Answer = TypeVar("_Answer")


def make_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of the command `name`, with the option that says which server is asked."""
    parser = argparse.ArgumentParser(prog=f"xsp3ioc {name}", description=description)
    add_address(parser, "--monitor", "monitor", MONITOR_PORT)
    return parser


def ask(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    request: str,
    kind: type[_Answer],
    timeout: float = monitor.PATIENCE,
) -> _Answer:
    """Return the server's answer; the command ends here with exit code 1 if there is none, 2 if it has no address.

    `options.monitor` is a ZeroMQ address from then on.
    """
    try:
        options.monitor = address(options.monitor, MONITOR_PORT)
        return msgspec.json.decode(monitor.ask(options.monitor, request, timeout)[0], type=kind)
    except monitor.NoAnswerError as error:
        text = f"{error}. {error.hint}"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # some of them are ValueErrors too
        text = f"{options.monitor} answers, but not as a server of this version does"
    except ValueError as error:
        parser.error(str(error))
    parser.exit(1, f"{parser.prog}: {text}\n")

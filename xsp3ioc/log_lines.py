"""How the log looks: what begins with a time is a line of ours, whatever clients have made us say."""

from __future__ import annotations

import logging
import re
import time
import traceback

LONGEST = 500
"""Characters of a library's account of what a client did."""
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Formatter(logging.Formatter):
    """One line for each message, behind its time (UTC); tracebacks follow, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line; control characters, which end lines and paint terminals, as Python writes them."""
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], super().formatMessage(record))

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802
        """Return the traceback; the text of an exception may have been made by a client."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the stack."""
        return _indented(super().formatStack(stack_info))


class WithoutTraceback(logging.Filter):
    """For a library that logs the traceback of whatever a client does wrong: the exception and its place will do."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change it; None is left out."""
        text, problem = record.getMessage(), record.exc_info[1] if record.exc_info else None
        more = ""
        if problem is not None:
            places = traceback.extract_tb(problem.__traceback__, -1)
            more = f" ({type(problem).__name__}{''.join(f' in {place.name}:{place.lineno}' for place in places)}"
            more += f": {_short(str(problem))})"
        record.msg, record.args, record.exc_info, record.exc_text = _short(text) + more, (), None, None
        return True


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _indented(text: str) -> str:
    # Carriage returns and the like too, which some readers take for the end of a line.
    return "\n".join("    " + _CONTROL.sub(lambda found: repr(found[0])[1:-1], line) for line in text.split("\n"))

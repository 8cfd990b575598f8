"""Times as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return about how long it takes: 1.5 s, 3 min 20 s, 5 h 41 min, 12 days 3 h."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days >= 2:
        return f"{days:,} days {hour} h"
    return f"{hours} h {minute:02} min" if hours else f"{minute} min {second:02} s"

"""The command as its users have it: a process with an exit code and two outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def xsp3ioc(
    *arguments: object, cwd: Path, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "xsp3ioc", *map(str, arguments)],
        cwd=cwd, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The one line in which it says that it cannot start."""
    assert result.returncode == 2, result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("xsp3ioc: ")
    assert "Traceback" not in result.stdout
    return lines[0]

"""A disk that is soon full: a small file system in memory; where none can be mounted, a limit to the writer's files."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

SIZE = 24 << 20


class SmallDisk:
    """`directory` is on it; `limit` before a file is opened, with the writer's process number."""

    def __init__(self, directory: Path):
        directory.mkdir()
        self.directory = directory
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(directory)]
        try:
            self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        except FileNotFoundError:
            self.mounted = False

    def limit(self, pid: int) -> None:
        """Let a process write no larger files, where the disk itself does not."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (SIZE, SIZE))

    def fill(self, pid: int) -> None:
        """Take all the room that is left: somebody else does, or the writer has no more to claim."""
        if not self.mounted:
            size = max(path.stat().st_size for path in self.directory.iterdir())
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
            return
        with (self.directory / "others").open("wb", buffering=0) as file:
            for piece in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    pass

    def end(self) -> None:
        """Unmount it; what still uses it keeps it until then."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.directory)], check=True)

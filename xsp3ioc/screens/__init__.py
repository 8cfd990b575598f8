"""`xsp3ioc screens`: where the screens for CS-Studio Phoebus are, or copies of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).parent
MAIN = "xsp3_main.bob"


def main(arguments: Sequence[str]) -> int:
    """Run `xsp3ioc screens`; return the exit code: 2 if a file of another content is in the way."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc screens", description="Show where the screens for CS-Studio Phoebus are, or copy them."
    )
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="copy them here; it is made if need be")
    parser.add_argument("--overwrite", action="store_true", help="replace files there that are different")
    parser.add_argument("--prefix", default="XSP3_4Chan:", metavar="P", help="macro P of the server (%(default)s)")
    parser.add_argument("--detector-prefix", default="det1:", metavar="R", help="macro R of the server (%(default)s)")
    options = parser.parse_args(arguments)
    directory = HERE
    if options.directory is not None:
        directory = options.directory.absolute()
        try:
            _copy(directory, options.overwrite)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"xsp3ioc screens: {error}\n")
            return 2
    macros = f"P={_encoded(options.prefix)}&R={_encoded(options.detector_prefix)}"
    sys.stdout.write(f"{directory}\nphoebus -resource 'file:{quote(str(directory / MAIN))}?{macros}'\n")
    return 0


def _copy(directory: Path, overwrite: bool) -> None:
    """Copy all, or nothing and raise ValueError."""
    screens = sorted(HERE.glob("*.bob"))
    targets = [directory / screen.name for screen in screens]
    texts = [screen.read_bytes() for screen in screens]
    changed = [t.name for t, text in zip(targets, texts, strict=True) if t.exists() and t.read_bytes() != text]
    if changed and not overwrite:
        raise ValueError(f"in {directory} are other versions of {', '.join(changed)}: --overwrite replaces them")
    directory.mkdir(parents=True, exist_ok=True)
    for target, text in zip(targets, texts, strict=True):
        target.write_bytes(text)


def _encoded(prefix: str) -> str:
    """Encode what an address cannot have as it is, such as braces."""
    return quote(prefix, safe=":-_")

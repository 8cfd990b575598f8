"""Write all screens anew: `python -m xsp3ioc.screens.generate`."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from xsp3ioc.screens import overview, regions, series, spectra, system
from xsp3ioc.screens.names import ROIS

HERE = Path(__file__).parent


def screens() -> dict[str, str]:
    """Make all screens: file name -> text."""
    said = io.StringIO()
    # phoebusgen prints what is wrong, and goes on.
    with contextlib.redirect_stdout(said):
        made = {
            "xsp3_main.bob": overview.main_screen(),
            overview.LINE_FILE: overview.channel_line(),
            "xsp3_channel.bob": spectra.channel_screen(),
            "xsp3_grid.bob": spectra.grid_chooser(),
            **{f"xsp3_grid_{channels}.bob": spectra.grid_screen(channels) for channels in spectra.GRIDS},
            "xsp3_rois.bob": regions.rois_screen(),
            **{regions.tab_file(roi): regions.rois_tab(roi) for roi in range(1, ROIS + 1, regions.PER_TAB)},
            "xsp3_tseries.bob": series.series_screen(),
            "xsp3_connect.bob": system.connect_screen(),
            "xsp3_file.bob": system.file_screen(),
        }
        texts = {name: str(screen) for name, screen in made.items()}
    if said.getvalue():
        raise ValueError(said.getvalue())
    return texts


def main() -> int:
    """Write the files beside this module; those that are made no more go."""
    texts = screens()
    for path in HERE.glob("*.bob"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

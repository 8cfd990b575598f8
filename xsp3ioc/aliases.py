"""Names that records had in older servers: which record of today each means."""

from __future__ import annotations

import re
from collections.abc import Callable

Rename = Callable[[re.Match[str]], str]


def _same(template: str) -> Rename:
    return lambda found: found.expand(template)


AD2: tuple[tuple[str, Rename], ...] = (
    # areaDetector 2, as pyepics' Xspress3 class still asks: scalers counted from 1, without a colon
    (r"C(\d+)SCA([1-8]):(Value|ValueSum)_RBV", lambda found: f"C{found[1]}SCA:{int(found[2]) - 1}:{found[3]}_RBV"),
    (r"C(\d+)SCA:TSNumPoints", _same(r"C\1SCA:TS:TSNumPoints")),
)
VENDOR: tuple[tuple[str, Rename], ...] = (
    # the vendor's server before 2017: no macro R
    (r"C(\d+)_SCA(\d+):(\w+)", _same(r"C\1SCA:\2:\3")),
    (r"C(\d+)_ROI(\d+):Value_RBV", _same(r"MCA\1ROI:\2:Total_RBV")),
    (r"C(\d+)_ROI(\d+):(\w+)", _same(r"MCA\1ROI:\2:\3")),
    (r"C(\d+)_MCA_ROI(\d+)_LLM(\w*)", _same(r"MCA\1ROI:\2:FirstX\3")),
    (r"C(\d+)_MCA_ROI(\d+)_HLM(\w*)", _same(r"MCA\1ROI:\2:LastX\3")),
    (r"C(\d+)_DTFactor_RBV", _same(r"C\1:DTFactor_RBV")),
    (r"C(\d+)_PluginControlVal(ExtraROI)?", _same(r"MCA\1ROI:EnableCallbacks")),
    (r"CTRL_MCA_ROI", _same(r"MCA1ROI:EnableCallbacks")),
    (r"ARR(\d+):(\w+)", _same(r"MCA\1:\2")),
    (r"ARRSUM(\d+):(\w+)", _same(r"MCASUM\1:\2")),
    (r"HDF5:(\w+)", _same(r"HDF1:\1")),
    (r"(\w+)", _same(r"det1:\1")),
)


def today(name: str, vendor: bool) -> str:
    """Name of the record that `name` (without the macro P) means, or "": there is none; `vendor`: try its names too."""
    for pattern, rename in AD2 + VENDOR if vendor else AD2:
        if found := re.fullmatch(pattern, name):
            return rename(found)
    return ""

"""Parameters that say which NDAttributes are written beside the frames."""

from __future__ import annotations

from xsp3ioc.stream.attributes import STANDARD_FILE
from xsp3ioc.stream.parameter import Parameter

LONGEST = 16384
"""Characters of an XML text and its final zero: the longest array that every client takes without being told to."""
_STATES = ("Attributes file OK", "File not found", "XML syntax error", "Macro substitution error")


def _file(pv: str, default: str, doc: str) -> Parameter:
    return Parameter(default, doc, pv=pv, length=LONGEST, readback=False, lines=True)


def _macros(pv: str) -> Parameter:
    return Parameter("", "Macros of the attributes, NAME=VALUE,...", pv=pv, length=256, readback=False)


def _status(pv: str, default: int) -> Parameter:
    return Parameter(
        default, "How reading the attributes went", pv=pv, choices=_STATES, writable=False, severity={1: 1, 2: 2, 3: 2}
    )


class AttributeParameters:
    """The detector's set, one of the file alone that goes over it, and what scalers show of them."""

    attributes_file = _file(
        "NDAttributesFile",
        STANDARD_FILE,
        "Values written beside each frame: XML text or name of a file; XSP3.xml: scalers and dead time",
    )
    attributes_macros = _macros("NDAttributesMacros")
    attributes_status = _status("NDAttributesStatus", 0)
    file_attributes_file = _file(
        "/HDF1:NDAttributesFile", "", "More values, of the file alone: XML text or name of a file"
    )
    file_attributes_macros = _macros("/HDF1:NDAttributesMacros")
    file_attributes_status = _status("/HDF1:NDAttributesStatus", 1)
    scaler_attribute = Parameter(
        "", "Attribute that the scaler shows", pv="/C{chan}SCA:{sca}:AttrName", length=256, per_channel=True, per="sca"
    )

"""The detector's parameters: the one table that both faces, the configuration file and the documents are made from."""

from __future__ import annotations

from xsp3ioc.stream.arm_parameters import ArmParameters
from xsp3ioc.stream.array_parameters import ArrayParameters
from xsp3ioc.stream.attribute_parameters import AttributeParameters
from xsp3ioc.stream.channel_parameters import ChannelParameters
from xsp3ioc.stream.detector_parameters import BINS as BINS
from xsp3ioc.stream.detector_parameters import DETECTOR_STATES as DETECTOR_STATES
from xsp3ioc.stream.detector_parameters import DetectorParameters
from xsp3ioc.stream.file_parameters import FileParameters
from xsp3ioc.stream.plugin_parameters import PluginParameters
from xsp3ioc.stream.roi_parameters import RoiParameters
from xsp3ioc.stream.scaler_parameters import ScalerParameters


class Declared(
    AttributeParameters,
    PluginParameters,
    FileParameters,
    RoiParameters,
    ScalerParameters,
    ChannelParameters,
    ArrayParameters,
    ArmParameters,
    DetectorParameters,
):
    """All parameters; the tables show those of the last base first."""

    values: dict

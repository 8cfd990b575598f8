"""Another IOC, caproto's own: the records of a beamline that somebody wants beside his frames."""

import sys

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty, run


class Beamline(PVGroup):
    """One record of each kind."""

    energy = pvproperty(value=7.112, name="energy")
    count = pvproperty(value=5, name="count")
    sample = pvproperty(value="Fe2O3", name="sample", dtype=str, report_as_string=True)
    comment = pvproperty(value="a comment of more than 40 characters, as they are", name="comment", max_length=300)
    mode = pvproperty(value="two", name="mode", dtype=ChannelType.ENUM, enum_strings=["one", "two"])
    array = pvproperty(value=[3.0, 2.0, 1.0], name="array")


if __name__ == "__main__":
    run(Beamline(prefix=sys.argv[1]).pvdb, interfaces=["127.0.0.1"])

"""Run an Xspress3 X-ray detector: EPICS and Tango server, lossless stream, NeXus files, and an emulator."""

__version__ = "0.1.0"

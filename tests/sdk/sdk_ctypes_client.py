"""A client as there are in Python: constants from the header's lines, the library through ctypes.

`python sdk_ctypes_client.py DIRECTORY FRAMES` prints, as JSON, what it has found.
"""

import ctypes
import json
import sys
import time
from pathlib import Path


class Client:
    def __init__(self, directory):
        self.read_header(Path(directory) / "xspress3.h")
        ctypes.CDLL(str(Path(directory) / "libimg_mod.so"), mode=ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL(str(Path(directory) / "libxspress3.so"), mode=ctypes.RTLD_GLOBAL)
        self.lib.xsp3_get_error_message.restype = ctypes.c_char_p

    def read_header(self, path):
        """Take words 2 and 3 of every #define for a name and a value."""
        with path.open() as fp:
            for line in fp:
                if line.startswith("#define"):
                    words = line.split()
                    try:
                        eval(words[2])
                    except Exception:  # not a value
                        continue
                    exec(f"self.{words[1]} = {words[2]}")

    def check(self, status):
        if status < 0:
            raise RuntimeError(self.lib.xsp3_get_error_message().decode())
        return status


def main(directory, frames):
    client = Client(directory)
    lib, check = client.lib, client.check
    path = check(lib.xsp3_config(1, 16384, None, -1, None, -1, -1, None, -1, -1))
    generation = check(lib.xsp3_get_generation(path, 0))
    streams = client.XSP3_RUN_FLAGS_HIST | client.XSP3_RUN_FLAGS_SCALERS
    check(lib.xsp3_set_run_flags(path, streams | client.XSP3_RUN_FLAGS_CIRCULAR_BUFFER))
    flags = client.XSP3_CLK_FLAGS_MASTER | client.XSP3_CLK_FLAGS_NO_DITHER
    check(lib.xsp3_clocks_setup(path, 0, client.XSP3_CLK_SRC_XTAL, flags, 0))
    channels = check(lib.xsp3_get_num_chan(path))
    trigger = (ctypes.c_int * 27)()
    widths = []
    for channel in range(channels):
        check(lib.xsp3_get_trigger_b(path, channel, trigger))
        widths.append(trigger[13])

    fit = check(lib.xsp3_format_run(path, -1, 0, 0, 0, 0, 0, 12))
    check(lib.xsp3_histogram_clear(path, 0, channels, 0, fit))
    check(lib.xsp3_set_glob_timeA(path, 0, client.XSP3_GTIMA_SRC_INTERNAL))
    mode = client.XSP3_ITFG_TRIG_MODE_SOFTWARE
    check(lib.xsp3_itfg_setup(path, 0, frames, 80000, mode, client.XSP3_ITFG_GAP_MODE_1US))
    check(lib.xsp3_histogram_arm(path, -1))

    spectra = (ctypes.c_uint32 * (channels * 4096))()
    scalers = (ctypes.c_uint32 * (channels * client.XSP3_SW_NUM_SCALERS))()
    totals = []
    for frame in range(frames):
        check(lib.xsp3_histogram_continue(path, 0))
        check(lib.xsp3_histogram_pause(path, 0))
        while check(lib.xsp3_scaler_check_progress(0)) <= frame:
            time.sleep(0.001)
        assert lib.xsp3_histogram_get_circ_overrun(path, -1, None) == 0
        check(lib.xsp3_histogram_read3d(path, spectra, 0, 0, frame, 4096, channels, 1))
        check(lib.xsp3_scaler_read(path, scalers, 0, 0, frame, client.XSP3_SW_NUM_SCALERS, channels, 1))
        check(lib.xsp3_histogram_circ_ack(path, 0, frame, channels, 1))
        totals.append([sum(spectra), sum(scalers)])
    check(lib.xsp3_histogram_stop(path, 0))
    try:
        check(lib.xsp3_set_window(path, channels, 0, 0, 1))
        refusal = ""
    except RuntimeError as error:
        refusal = str(error)
    check(lib.xsp3_close(path))
    json.dump(
        {
            "generation": generation, "channels": channels, "widths": widths, "fit": fit, "totals": totals,
            "refusal": refusal, "constants": {name: value for name, value in vars(client).items() if name.isupper()},
        },
        sys.stdout,
    )  # fmt: skip


main(sys.argv[1], int(sys.argv[2]))

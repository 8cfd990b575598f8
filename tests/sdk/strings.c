/* A client that passes empty strings where others pass NULL, sets no format, and closes each frame itself.
 *
 * strings FRAMES: prints, per frame, the ticks that it lasted and the sum of the words of its spectra, multiplied by
 * their places (from 1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "xspress3.h"

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s (%s)\n", what, xsp3_get_error_message());
        exit(1);
    }
}

int main(int count, char **argument)
{
    const int frames = count > 1 ? atoi(argument[1]) : 0, channels = 4;
    const struct timespec exposure = {0, 2000000};
    int path = xsp3_config(1, 32, "", -1, "00:00:00:00:00:00", channels, 1, "", 0, -1);
    int quiet = 0;

    need(path == 0, "config");
    need(xsp3_config(1, 32, NULL, -1, NULL, channels, 1, NULL, 0, -1) == path, "config again");
    need(xsp3_init_roi(path, -1) == XSP3_OK, "init_roi");
    need(xsp3_clocks_setup(path, 0, XSP3_CLK_SRC_XTAL, XSP3_CLK_FLAGS_MASTER | XSP3_CLK_FLAGS_NO_DITHER, 0) == XSP3_OK, "clocks_setup");
    need(xsp3_set_run_flags(path, XSP3_RUN_FLAGS_SCALERS | XSP3_RUN_FLAGS_HIST) == XSP3_OK, "set_run_flags");
    need(xsp3_set_glob_timeA(path, 0, XSP3_GTIMA_SRC_SOFTWARE | 80 << 16) == XSP3_OK, "set_glob_timeA");
    need(xsp3_set_glob_timeFixed(path, 0, 0) == XSP3_OK, "set_glob_timeFixed");
    need(xsp3_restore_settings(path, "", 0) < 0 && xsp3_get_error_message()[0] != '\0', "no directory");
    need(xsp3_histogram_clear(path, 0, channels, 0, frames) == XSP3_OK, "clear");
    need(xsp3_histogram_start(path, -1) == XSP3_OK, "start");
    for (int frame = 0; frame < frames; frame++) {
        nanosleep(&exposure, NULL);
        if (frame < frames - 1) {
            need(xsp3_histogram_pause(path, 0) == XSP3_OK, "pause");
            need(xsp3_histogram_continue(path, 0) == XSP3_OK, "continue");
        }
    }
    need(xsp3_histogram_stop(path, -1) == XSP3_OK, "stop");
    while (quiet < 2)
        quiet = xsp3_histogram_is_any_busy(path) ? 0 : quiet + 1;
    need(xsp3_scaler_check_progress(path) == frames, "progress");
    for (int frame = 0; frame < frames; frame++) {
        u_int32_t scalers[4 * XSP3_SW_NUM_SCALERS], spectrum[XSP3_ENERGIES];
        uint64_t sum = 0, place = 0;
        need(xsp3_scaler_read(path, scalers, 0, 0, frame, XSP3_SW_NUM_SCALERS, channels, 1) == XSP3_OK, "scaler_read");
        for (int channel = 0; channel < channels; channel++) {
            need(xsp3_histogram_read3d(path, spectrum, 0, channel, frame, XSP3_ENERGIES, 1, 1) == XSP3_OK, "read3d");
            for (int bin = 0; bin < XSP3_ENERGIES; bin++)
                sum += spectrum[bin] * ++place;
        }
        printf("%u %" PRIu64 "\n", scalers[XSP_SW_SCALER_TOTAL_TICKS], sum);
    }
    need(xsp3_close(path) == XSP3_OK, "close");
    return 0;
}

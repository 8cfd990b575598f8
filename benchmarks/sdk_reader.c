/* Reads frames through libxspress3.so in blocks, and copies the same bytes without it: sdk_reader FRAMES BLOCK.
 *
 * Prints the frames/s of both. The library is to be at the reader's pace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "xspress3.h"

enum { CHANNELS = 4, RING = 16384, ENTRIES = 8 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s: %s\n", what, xsp3_get_error_message());
        exit(1);
    }
}

static double copied(int frames, int block, u_int32_t *out)
{
    const size_t spectrum = sizeof(u_int32_t) * XSP3_ENERGIES;
    char *pool = malloc(CHANNELS * ENTRIES * spectrum);
    unsigned drawn = 1;
    double start;

    memset(pool, 1, CHANNELS * ENTRIES * spectrum);
    start = seconds();
    for (int first = 0; first < frames; first += block)
        for (int i = 0; i < block * CHANNELS; i++) {
            drawn = drawn * 1664525 + 1013904223;
            memcpy((char *)out + i * spectrum, pool + (i % CHANNELS * ENTRIES + (drawn >> 24) % ENTRIES) * spectrum, spectrum);
        }
    start = seconds() - start;
    free(pool);
    return frames / start;
}

static double through_library(int path, int frames, int block, u_int32_t *spectra, u_int32_t *scalers, Xsp3TFStatus *status)
{
    double start;

    need(xsp3_itfg_setup(path, 0, frames, 80000, XSP3_ITFG_TRIG_MODE_BURST, XSP3_ITFG_GAP_MODE_1US) == 0, "itfg_setup");
    need(xsp3_histogram_start(path, -1) == 0, "start");
    start = seconds();
    for (int done = 0; done < frames;) {
        Xsp3ErrFlag flags;
        int64_t furthest, complete = xsp3_scaler_check_progress_details(path, &flags, 1, &furthest);
        need(complete > done && flags == 0, "progress");
        while (done < complete) {
            int n = complete - done < block ? (int)complete - done : block, slot = done % RING;
            if (n > RING - slot)
                n = RING - slot;
            need(xsp3_histogram_read4d(path, spectra, 0, 0, 0, slot, XSP3_ENERGIES, 1, CHANNELS, n) == 0, "read4d");
            need(xsp3_scaler_read(path, scalers, 0, 0, slot, XSP3_SW_NUM_SCALERS, CHANNELS, n) == 0, "scaler_read");
            need(xsp3_histogram_get_tf_status_block(path, 0, slot, n, status) == 0 && status[0].time_frame == done, "status");
            need(xsp3_histogram_circ_ack(path, 0, done, CHANNELS, n) == 0, "circ_ack");
            done += n;
        }
    }
    return frames / (seconds() - start);
}

int main(int count, char **argument)
{
    const int frames = count > 2 ? atoi(argument[1]) : 0, block = count > 2 ? atoi(argument[2]) : 0;
    const int path = xsp3_config(1, RING, NULL, -1, NULL, CHANNELS, 1, NULL, 0, 0);
    u_int32_t *spectra = malloc(sizeof *spectra * block * CHANNELS * XSP3_ENERGIES);
    u_int32_t *scalers = malloc(sizeof *scalers * block * CHANNELS * XSP3_SW_NUM_SCALERS);
    Xsp3TFStatus *status = malloc(sizeof *status * block);

    need(path == 0, "config");
    need(xsp3_set_run_flags(path, XSP3_RUN_FLAGS_SCALERS | XSP3_RUN_FLAGS_HIST | XSP3_RUN_FLAGS_CIRCULAR_BUFFER) == 0, "run_flags");
    need(xsp3_set_glob_timeA(path, 0, XSP3_GTIMA_SRC_INTERNAL) == 0, "timing");
    memset(spectra, 0, sizeof *spectra * block * CHANNELS * XSP3_ENERGIES);
    through_library(path, 4096, block, spectra, scalers, status); /* draws the spectra */
    for (int turn = 0; turn < 3; turn++)
        printf("%.0f %.0f\n", through_library(path, frames, block, spectra, scalers, status), copied(frames, block, spectra));
    need(xsp3_close(path) == 0, "close");
    return 0;
}

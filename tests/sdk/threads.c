/* Several threads read channels of their own while another asks for the status: threads FRAMES.
 *
 * Prints, per channel, the sum of its spectra's words, each multiplied by its place (from 1) in the channel.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "xspress3.h"

enum { CHANNELS = 4, BLOCK = 8, RING = 256 };

static int path, frames;
static atomic_int over;
static uint64_t sums[CHANNELS];

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s (%s)\n", what, xsp3_get_error_message());
        exit(1);
    }
}

static void *read_channel(void *argument)
{
    const unsigned channel = (unsigned)(size_t)argument;
    u_int32_t *spectra = malloc(sizeof *spectra * BLOCK * XSP3_ENERGIES);
    u_int32_t scalers[BLOCK * XSP3_SW_NUM_SCALERS];
    uint64_t place = 0;

    for (int first = 0; first < frames; first += BLOCK) {
        while (xsp3_scaler_check_progress(path) < first + BLOCK)
            ;
        need(xsp3_histogram_read4d(path, spectra, 0, 0, channel, first, XSP3_ENERGIES, 1, 1, BLOCK) == 0, "read4d");
        need(xsp3_scaler_read(path, scalers, 0, channel, first, XSP3_SW_NUM_SCALERS, 1, BLOCK) == 0, "scaler_read");
        for (int i = 0; i < BLOCK; i++) {
            u_int32_t total = 0;
            for (int bin = 0; bin < XSP3_ENERGIES; bin++) {
                total += spectra[i * XSP3_ENERGIES + bin];
                sums[channel] += spectra[i * XSP3_ENERGIES + bin] * ++place;
            }
            need(total == scalers[i * XSP3_SW_NUM_SCALERS + XSP3_SCALER_INWINDOW0], "spectrum and scalers differ");
        }
        need(xsp3_histogram_circ_ack(path, channel, first, 1, BLOCK) == 0, "circ_ack");
    }
    free(spectra);
    return NULL;
}

static void *watch(void *unused)
{
    while (!atomic_load(&over)) {
        float temperatures[XSP4_NUM_LM75];
        Xsp3ErrFlag flags;
        int64_t furthest;
        need(xsp3_i2c_read_adc_temp(path, 0, temperatures) == 0, "temperature");
        need(xsp3_scaler_check_progress_details(path, &flags, 1, &furthest) >= 0 && flags == 0, "progress");
        need(xsp3_histogram_is_any_busy(path) >= 0 && xsp3_get_revision(path) > 0, "status");
        need(xsp3_get_num_chan(path + 7) == XSP3_INVALID_PATH, "no such path"); /* writes the message */
    }
    return unused;
}

int main(int count, char **argument)
{
    pthread_t readers[CHANNELS], watcher;

    frames = count > 1 ? atoi(argument[1]) : 0;
    path = xsp3_config(1, RING, NULL, -1, NULL, CHANNELS, 1, NULL, 0, 0);
    need(path == 0, "config");
    need(xsp3_set_run_flags(path, XSP3_RUN_FLAGS_SCALERS | XSP3_RUN_FLAGS_HIST | XSP3_RUN_FLAGS_CIRCULAR_BUFFER) == 0, "run flags");
    need(xsp3_format_run(path, -1, 0, 0, 0, 0, 0, 12) == RING, "format");
    need(xsp3_set_glob_timeA(path, 0, XSP3_GTIMA_SRC_INTERNAL) == 0, "timing");
    need(xsp3_itfg_setup(path, 0, frames, 80000, XSP3_ITFG_TRIG_MODE_BURST, XSP3_ITFG_GAP_MODE_1US) == 0, "generator");
    need(xsp3_histogram_start(path, -1) == 0, "start");
    need(pthread_create(&watcher, NULL, watch, NULL) == 0, "thread");
    for (size_t channel = 0; channel < CHANNELS; channel++)
        need(pthread_create(&readers[channel], NULL, read_channel, (void *)channel) == 0, "thread");
    for (int channel = 0; channel < CHANNELS; channel++)
        pthread_join(readers[channel], NULL);
    atomic_store(&over, 1);
    pthread_join(watcher, NULL);
    need(xsp3_histogram_get_circ_overrun(path, -1, NULL) == 0, "overrun");
    need(xsp3_histogram_stop(path, -1) == 0 && xsp3_close(path) == 0, "stop");
    for (int channel = 0; channel < CHANNELS; channel++)
        printf("%" PRIu64 "\n", sums[channel]);
    return 0;
}

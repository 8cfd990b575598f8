/* A whole acquisition through the shared library, by a program that knows nothing of Python.
 *
 * acquire CARDS FRAMES TICKS DIRECTORY: prints the number of channels and the sums of all spectra and all scalers, each
 * word multiplied by its place (from 1); ends with 1 and a line on stderr when anything is not as the library promises.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "xspress3.h"

enum { RING = 64, BLOCK = 16, GOOD = 70, LOW = 100, HIGH = 900 };

static void fail(const char *what, long long value)
{
    fprintf(stderr, "%s: %lld (%s)\n", what, value, xsp3_get_error_message());
    exit(1);
}

static int ok(const char *what, int status)
{
    if (status < 0)
        fail(what, status);
    return status;
}

static void zero(const char *what, int status)
{
    if (status != XSP3_OK)
        fail(what, status);
}

static u_int32_t sum(const u_int32_t *spectrum, int low, int high)
{
    u_int32_t total = 0;
    for (int bin = low; bin <= high; bin++)
        total += spectrum[bin];
    return total;
}

static void check_frame(const u_int32_t *spectrum, const u_int32_t *scaler, u_int32_t ticks)
{
    static u_int32_t first_ticks, most_resets, reset_ticks_of_most;
    const u_int32_t all = scaler[XSP3_SCALER_ALLEVENT], total = sum(spectrum, 0, XSP3_ENERGIES - 1);
    const u_int32_t time = scaler[XSP3_SCALER_TIME], resets = scaler[XSP3_SCALER_RESETCOUNT];

    if (scaler[XSP3_SCALER_ALLGOOD] != sum(spectrum, GOOD, XSP3_ENERGIES - 1))
        fail("AllGood", scaler[XSP3_SCALER_ALLGOOD]);
    if (scaler[XSP3_SCALER_INWINDOW0] != sum(spectrum, LOW, HIGH))
        fail("InWindow0", scaler[XSP3_SCALER_INWINDOW0]);
    if (scaler[XSP3_SCALER_INWINDOW1] != total)
        fail("InWindow1", scaler[XSP3_SCALER_INWINDOW1]);
    if (total > all + 2 || total < all - all / 50)
        fail("events outside of the spectrum", (long long)all - total);
    if (time != scaler[XSP_SW_SCALER_TOTAL_TICKS] || llabs((long long)time - ticks) > 2)
        fail("ticks", time);
    if (first_ticks == 0)
        first_ticks = time;
    if (llabs((long long)time - first_ticks) > 1)
        fail("ticks differ", time);
    if (scaler[XSP3_SCALER_RESETTICKS] > time || (resets > most_resets) != (scaler[XSP3_SCALER_RESETTICKS] > reset_ticks_of_most))
        fail("reset ticks", scaler[XSP3_SCALER_RESETTICKS]);
    if (resets > most_resets) {
        most_resets = resets;
        reset_ticks_of_most = scaler[XSP3_SCALER_RESETTICKS];
    }
}

static uint64_t weighted(const u_int32_t *words, size_t count, uint64_t *place)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += words[i] * ++*place;
    return total;
}

static void setup(int path, int cards, int frames, u_int32_t ticks, char *directory)
{
    const int generation = xsp3_get_generation(path, 0);
    u_int32_t low, high, good;

    for (int card = 0; card < cards; card++) {
        int source = generation == XspressGen4 ? XSP3M_CLK_SRC_LMK61E2
            : generation == XspressGen3Mini ? XSP3M_CLK_SRC_CDCM61004 : XSP3_CLK_SRC_XTAL;
        int hertz = ok("clocks_setup", xsp3_clocks_setup(path, card, source, XSP3_CLK_FLAGS_MASTER | XSP3_CLK_FLAGS_NO_DITHER, 0));
        if ((hertz > 0) != (generation >= XspressGen3Mini))
            fail("clocks_setup", hertz);
    }
    zero("set_good_thres", xsp3_set_good_thres(path, -1, GOOD));
    zero("set_window", xsp3_set_window(path, -1, 0, LOW, HIGH));
    zero("save_settings", xsp3_save_settings(path, directory));
    zero("set_good_thres", xsp3_set_good_thres(path, -1, 0));
    zero("set_window", xsp3_set_window(path, -1, 0, 0, 1));
    zero("restore_settings", xsp3_restore_settings(path, directory, 0));
    zero("get_window", xsp3_get_window(path, 0, 0, &low, &high));
    zero("get_good_thres", xsp3_get_good_thres(path, 0, &good));
    if (low != LOW || high != HIGH || good != GOOD)
        fail("restored settings", low);
    zero("set_run_flags", xsp3_set_run_flags(path, XSP3_RUN_FLAGS_SCALERS | XSP3_RUN_FLAGS_HIST | XSP3_RUN_FLAGS_CIRCULAR_BUFFER));
    if (ok("format_run", xsp3_format_run(path, -1, 0, 0, 0, 0, 0, 12)) != RING)
        fail("frames that fit", xsp3_scaler_get_num_tf(path));
    for (int card = 0; card < cards; card++)
        zero("set_glob_timeA", xsp3_set_glob_timeA(path, card, card ? XSP3_GTIMA_SRC_TTL_VETO_ONLY : XSP3_GTIMA_SRC_INTERNAL));
    zero("itfg_setup", xsp3_itfg_setup(path, 0, frames, ticks, XSP3_ITFG_TRIG_MODE_BURST, XSP3_ITFG_GAP_MODE_1US));
}

int main(int count, char **argument)
{
    if (count != 5)
        return 2;
    const int cards = atoi(argument[1]), frames = atoi(argument[2]);
    const u_int32_t ticks = (u_int32_t)atol(argument[3]);
    const int path = xsp3_config(cards, RING, NULL, -1, NULL, -1, 1, NULL, 0, 0);
    if (path != 0)
        fail("config", path);
    const int channels = ok("get_num_chan", xsp3_get_num_chan(path));
    u_int32_t *spectra = malloc(sizeof *spectra * BLOCK * channels * XSP3_ENERGIES);
    u_int32_t *scalers = malloc(sizeof *scalers * BLOCK * channels * XSP3_SW_NUM_SCALERS);
    uint64_t sums[2] = {0, 0}, places[2] = {0, 0};
    Xsp3TFStatus status[BLOCK];

    setup(path, cards, frames, ticks, argument[4]);
    zero("histogram_clear", xsp3_histogram_clear(path, 0, channels, 0, RING));
    zero("histogram_start", xsp3_histogram_start(path, -1));
    for (int done = 0; done < frames;) {
        int complete = ok("scaler_check_progress", xsp3_scaler_check_progress(path));
        int n = complete - done < BLOCK ? complete - done : BLOCK;
        if (n > RING - done % RING)
            n = RING - done % RING;
        if (n == 0) {
            nanosleep(&(struct timespec){0, 200000}, NULL);
            continue;
        }
        zero("read4d", xsp3_histogram_read4d(path, spectra, 0, 0, 0, done, XSP3_ENERGIES, 1, channels, n));
        zero("scaler_read", xsp3_scaler_read(path, scalers, 0, 0, done, XSP3_SW_NUM_SCALERS, channels, n));
        zero("get_tf_status_block", xsp3_histogram_get_tf_status_block(path, channels - 1, done, n, status));
        for (int i = 0; i < n; i++) {
            if (status[i].state != 1 || status[i].time_frame != done + i)
                fail("status of a frame", status[i].time_frame);
            for (int c = 0; c < channels; c++)
                check_frame(spectra + (i * channels + c) * XSP3_ENERGIES, scalers + (i * channels + c) * XSP3_SW_NUM_SCALERS, ticks);
        }
        sums[0] += weighted(spectra, (size_t)n * channels * XSP3_ENERGIES, &places[0]);
        sums[1] += weighted(scalers, (size_t)n * channels * XSP3_SW_NUM_SCALERS, &places[1]);
        zero("circ_ack", xsp3_histogram_circ_ack(path, 0, done, channels, n));
        done += n;
    }
    zero("histogram_stop", xsp3_histogram_stop(path, -1));
    zero("is_any_busy", xsp3_histogram_is_any_busy(path));
    if (xsp3_scaler_check_progress(path) != frames)
        fail("frames after the stop", xsp3_scaler_check_progress(path));
    if (xsp3_histogram_get_circ_overrun(path, -1, NULL) != 0)
        fail("overrun", xsp3_histogram_get_circ_overrun(path, -1, NULL));
    zero("close", xsp3_close(path));
    if (xsp3_get_num_chan(path) != XSP3_INVALID_PATH || strstr(xsp3_get_error_message(), "not open") == NULL)
        fail("a closed path", xsp3_get_num_chan(path));
    printf("%d %" PRIu64 " %" PRIu64 "\n", channels, sums[0], sums[1]);
    free(spectra);
    free(scalers);
    return 0;
}

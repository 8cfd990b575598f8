/* A program that keeps its pointers to spectra while the library is configured anew: again SETTINGS.TOML.
 *
 * The settings change at the end. Prints what the buffers' addresses and words are, step by step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "xspress3.h"

enum { RING = 64, CHANNELS = 4 };

static u_int32_t *kept[CHANNELS];

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s (%s)\n", what, xsp3_get_error_message());
        exit(1);
    }
}

static void configure(int ring, int channels)
{
    need(xsp3_config(1, ring, NULL, -1, NULL, channels, 1, NULL, 0, 0) == 0, "config");
}

static u_int32_t *buffer(int channel)
{
    return Xsp3Sys[0].histogram[channel].buffer;
}

/* The sum of the kept spectra of frame 0. */
static unsigned long total(void)
{
    unsigned long sum = 0;
    for (int channel = 0; channel < CHANNELS; channel++)
        for (int bin = 0; bin < XSP3_ENERGIES; bin++)
            sum += kept[channel][bin];
    return sum;
}

static void acquire(void)
{
    need(xsp3_set_glob_timeA(0, 0, XSP3_GTIMA_SRC_INTERNAL) == 0, "timing");
    need(xsp3_itfg_setup(0, 0, 1, 800000, XSP3_ITFG_TRIG_MODE_BURST, XSP3_ITFG_GAP_MODE_1US) == 0, "itfg_setup");
    need(xsp3_histogram_start(0, -1) == 0, "start");
    while (xsp3_scaler_check_progress(0) < 1)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

int main(int count, char **argument)
{
    int leaf, index;
    FILE *settings;

    need(count == 2, "again SETTINGS.TOML");
    configure(RING, CHANNELS);
    need(xsp3_resolve_path(0, 0, &leaf, &index) == 0, "resolve_path");
    for (int channel = 0; channel < CHANNELS; channel++)
        kept[channel] = buffer(channel);
    acquire();
    printf("first %lu\n", total());
    configure(RING, CHANNELS);
    printf("again %d %lu\n", buffer(0) == kept[0] && buffer(3) == kept[3], total());
    acquire();
    printf("run %lu\n", total());
    configure(2 * RING, CHANNELS);
    printf("larger %d %lu\n", buffer(0) != NULL && buffer(0) != kept[0], total());
    configure(RING, 2);
    printf("fewer %d %d\n", buffer(1) != NULL && buffer(1) != kept[1], buffer(2) == NULL && buffer(3) == NULL);
    need(xsp3_close(0) == 0, "close");
    printf("closed %d %lu\n", buffer(0) == NULL, total());
    settings = fopen(argument[1], "w");
    need(settings != NULL && fputs("seed = 7\n", settings) >= 0 && fclose(settings) == 0, "settings");
    configure(RING, CHANNELS);
    printf("replaced %d %lu\n", buffer(0) == NULL, total());
    need(xsp3_resolve_path(0, 0, &leaf, &index) == 0, "resolve_path");
    acquire();
    printf("served %d %lu\n", buffer(0) == kept[0], total());
    return 0;
}

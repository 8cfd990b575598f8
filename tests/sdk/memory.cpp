// A program that copies spectra straight from the library's memory, with a thread per channel, as C++ clients do.
//
// memory CARDS FRAMES: prints, per channel, the sum of its spectra's words, each multiplied by its place (from 1).
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>
#include "xspress3.h"

static const int RING = 64;

static void need(bool good, const char *what)
{
    if (!good) {
        std::fprintf(stderr, "%s (%s)\n", what, xsp3_get_error_message());
        std::exit(1);
    }
}

struct Channel {
    int number, leaf, index, energies, aux, slots;
    std::uint64_t sum, place;
    std::vector<u_int32_t> spectrum;

    void resolve(int path)
    {
        int aux1, aux2;
        need(xsp3_get_format(path, number, &energies, &aux1, &aux2, &slots) == XSP3_OK, "get_format");
        need(xsp3_resolve_path(path, number, &leaf, &index) == XSP3_OK, "resolve_path");
        aux = aux1 * aux2;
        spectrum.resize(energies * aux);
        need(Xsp3Sys[leaf].valid && Xsp3Sys[leaf].type == FEM_SINGLE, "the leaf is an open card");
        need(index < Xsp3Sys[leaf].num_chan && Xsp3Sys[leaf].histogram[index].buffer, "the leaf has the channel");
    }

    void copy(int path, std::int64_t first, std::int64_t end)
    {
        const XSP3Histogram &histogram = Xsp3Sys[leaf].histogram[index];
        for (std::int64_t frame = first; frame < end; ++frame) {
            const u_int32_t *from = histogram.buffer + static_cast<std::size_t>(energies) * aux * (frame % slots);
            std::memcpy(spectrum.data(), from, spectrum.size() * sizeof(u_int32_t));
            u_int32_t scalers[XSP3_SW_NUM_SCALERS], total = 0;
            need(xsp3_scaler_read(path, scalers, 0, number, frame, XSP3_SW_NUM_SCALERS, 1, 1) == XSP3_OK, "scaler_read");
            for (u_int32_t word : spectrum) {
                sum += word * ++place;
                total += word;
            }
            need(total == scalers[XSP3_SCALER_INWINDOW0], "spectrum and scalers differ");
        }
    }
};

static void status(const std::atomic<bool> &over, int path, int cards, int channels)
{
    while (!over) {
        for (int channel = 0; channel < channels; ++channel) {
            int leaf, index;
            need(xsp3_resolve_path(path, channel, &leaf, &index) == XSP3_OK, "resolve_path in the status thread");
            need(Xsp3Sys[leaf].histogram[index].dropped_frames == 0, "dropped frames");
        }
        for (int card = 0; card < cards; ++card) {
            float temperatures[6];
            need(xsp3_i2c_read_adc_temp(path, card, temperatures) == XSP3_OK, "temperatures");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

int main(int count, char **argument)
{
    need(count == 3, "memory CARDS FRAMES");
    const int cards = std::atoi(argument[1]), frames = std::atoi(argument[2]);
    const int path = xsp3_config_init(cards, RING, NULL, -1, NULL, -1, 1, NULL, 0, 0, Xsp3Init_Normal, Xsp3mRd_Auto, XspressReal);
    need(path == 0, "config_init");
    const XSP3Path &system = Xsp3Sys[path];
    const int channels = system.num_chan;
    need(channels == xsp3_get_num_chan(path) && system.num_cards == cards && system.valid, "Xsp3Sys");
    need(system.type == (cards > 1 ? FEM_COMPOSITE : FEM_SINGLE), "type");
    need(system.features.generation == xsp3_get_generation(path, 0), "generation");
    for (int card = 0; card < cards; ++card)
        need(Xsp3Sys[system.sub_path[card]].valid && Xsp3Sys[system.sub_path[card]].num_cards == 1, "sub_path");

    need(xsp3_format_run(path, -1, 0, 0, 0, 0, 0, 12) == RING, "format_run");
    need(xsp3_set_run_flags(path, XSP3_RUN_FLAGS_SCALERS | XSP3_RUN_FLAGS_HIST | XSP3_RUN_FLAGS_CIRCULAR_BUFFER) == XSP3_OK, "set_run_flags");
    need(system.run_flags == xsp3_get_run_flags(path), "run_flags");
    for (int card = 0; card < cards; ++card)
        need(xsp3_set_glob_timeA(path, card, card ? XSP3_GTIMA_SRC_TTL_VETO_ONLY : XSP3_GTIMA_SRC_INTERNAL) == XSP3_OK, "timing");
    need(xsp3_itfg_setup(path, 0, frames, 80000, XSP3_ITFG_TRIG_MODE_BURST, XSP3_ITFG_GAP_MODE_1US) == XSP3_OK, "itfg_setup");
    std::vector<Channel> all(channels);
    for (int number = 0; number < channels; ++number) {
        all[number] = Channel{number, 0, 0, 0, 0, 0, 0, 0, {}};
        all[number].resolve(path);
    }
    std::atomic<bool> over(false);
    std::thread watcher(status, std::cref(over), path, cards, channels);
    need(xsp3_histogram_start(path, -1) == XSP3_OK, "start");
    std::int64_t done = 0;
    while (done < frames) {
        Xsp3ErrFlag flags;
        std::int64_t furthest, complete = xsp3_scaler_check_progress_details(path, &flags, 0, &furthest);
        need(complete >= 0 && flags == 0, "check_progress_details");
        if (complete == done)
            continue;
        std::vector<std::thread> readers;
        for (Channel &channel : all)
            readers.emplace_back(&Channel::copy, &channel, path, done, complete);
        for (std::thread &reader : readers)
            reader.join();
        need(xsp3_histogram_circ_ack(path, 0, done, channels, complete - done) == XSP3_OK, "circ_ack");
        done = complete;
    }
    over = true;
    watcher.join();
    need(Xsp3Sys[all[0].leaf].histogram[all[0].index].cur_tf_ext == frames - 1, "cur_tf_ext");
    need(xsp3_histogram_stop(path, -1) == XSP3_OK, "stop");
    need(xsp3_close(path, Xsp3UnlinkCreated) == XSP3_OK, "close");
    need(!system.valid && !system.histogram[0].buffer, "the closed path");
    for (const Channel &channel : all)
        std::printf("%" PRIu64 "\n", channel.sum);
    return 0;
}

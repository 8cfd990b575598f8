/* Prints the places of the members that consumers use, and the sizes of the structures. */
#include <stddef.h>
#include <stdio.h>
#include "xspress3.h"

#define PRINT(name, value) printf("%s %zu\n", name, (size_t)(value))

int main(void)
{
    PRINT("XSP3Path", sizeof(XSP3Path));
    PRINT("histogram[1]-histogram[0]", offsetof(XSP3Path, histogram[1]) - offsetof(XSP3Path, histogram[0]));
    PRINT("type", offsetof(XSP3Path, type));
    PRINT("valid", offsetof(XSP3Path, valid));
    PRINT("sub_path", offsetof(XSP3Path, sub_path));
    PRINT("num_cards", offsetof(XSP3Path, num_cards));
    PRINT("num_chan", offsetof(XSP3Path, num_chan));
    PRINT("histogram", offsetof(XSP3Path, histogram));
    PRINT("run_flags", offsetof(XSP3Path, run_flags));
    PRINT("features", offsetof(XSP3Path, features));
    PRINT("features.generation", offsetof(XSP3Path, features.generation));
    PRINT("buffer", offsetof(XSP3Path, histogram[0].buffer) - offsetof(XSP3Path, histogram[0]));
    PRINT("dropped_frames", offsetof(XSP3Path, histogram[0].dropped_frames) - offsetof(XSP3Path, histogram[0]));
    PRINT("cur_tf_ext", offsetof(XSP3Path, histogram[0].cur_tf_ext) - offsetof(XSP3Path, histogram[0]));
    PRINT("Xsp3Sys", sizeof Xsp3Sys / sizeof Xsp3Sys[0]);
    PRINT("Xspress3_TriggerB", sizeof(Xspress3_TriggerB));
    PRINT("Xspress3_features", sizeof(Xspress3_features));
    PRINT("Xsp3TFStatus", sizeof(Xsp3TFStatus));
    PRINT("Xsp3Timing", sizeof(Xsp3Timing));
    PRINT("ChannelDTC", sizeof(ChannelDTC));
    PRINT("Xsp3CShrControl", sizeof(Xsp3CShrControl));
    return 0;
}

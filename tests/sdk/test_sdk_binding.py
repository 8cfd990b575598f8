"""Opening shared libraries: what is refused, and what an older library lacks."""

import subprocess
from functools import partial

import numpy as np
import pytest

from xsp3ioc.sdk import SCALERS, LibraryNotLoaded, MissingFunction, Xspress3, Xspress3Error, load

configure = partial(Xspress3.configure, shared_memory=None)
"""These are no libraries that keep anything there."""

OLD_LIBRARY = """
#include <stdint.h>
#include <string.h>
static char message[1024];
int xsp3_config(int ncards, int num_tf, char *ip, int port, char *mac, int nchan, int module, char *name, int debug,
                int index)
{
    if (ip && strcmp(ip, "192.168.0.1")) {
        strcpy(message, "cannot connect to ");
        strcat(message, ip);
        return -9;
    }
    return ncards == 1 && num_tf == 64 && !mac && !name ? 3 : -1;
}
char *xsp3_get_error_message(void) { return message; }
int xsp3_get_num_chan(int path) { return path == 3 ? 2 : -2; }
int xsp3_scaler_check_progress(int path) { return 7; }
int xsp3_scaler_read(int path, uint32_t *dest, unsigned scaler, unsigned chan, unsigned t, unsigned ns, unsigned nc,
                     unsigned dt)
{
    for (unsigned i = 0; i < ns * nc * dt; i++) dest[i] = 1000 * t + i;
    return 0;
}
int xsp3_getDeadtimeCorrectionParameters(int path, int chan, int *flags, double *all_gradient, double *all_offset,
                                         double *win_offset, double *win_gradient)
{
    *flags = 2; *all_gradient = 1; *all_offset = 2; *win_offset = 3; *win_gradient = 4;
    return 0;
}
int xsp3_histogram_stop(int path, int card) { strcpy(message, "no answer from card 0"); return -1; }
"""


def compiled(tmp_path, source, name="libxspress3.so"):
    (tmp_path / "library.c").write_text(source)
    path = tmp_path / name
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", path, tmp_path / "library.c"], check=True)
    return path


@pytest.fixture(scope="module")
def old_library(tmp_path_factory):
    return load(compiled(tmp_path_factory.mktemp("old"), OLD_LIBRARY))


def test_a_library_is_used_through_the_same_handle(old_library):
    handle = configure(old_library, frames=64, base_ip="192.168.0.1")
    assert handle.path == 3 and handle.channels == 2 and not handle.simulated
    assert handle.library_name.endswith("libxspress3.so")
    scalers = np.zeros((3, 2, SCALERS), np.uint32)
    handle.read_scalers(64 + 5, scalers)
    assert scalers.ravel().tolist() == [5000 + i for i in range(54)]


def test_older_forms_are_used_where_the_newer_are_missing(old_library):
    handle = configure(old_library, frames=64)
    assert handle.progress() == (7, 7, 0)
    assert handle.clock_period() == 12.5e-9
    assert not handle.is_mark2
    found = handle.dead_time_parameters(0)
    assert (found.flags, found.all_event_gradient, found.all_event_offset) == (2, 1, 2)
    assert (found.in_window_offset, found.in_window_gradient, found.in_window_rate_offset) == (3, 4, 0)


def test_a_missing_function_is_named_when_it_is_called(old_library):
    handle = configure(old_library, frames=64)
    assert not old_library.has("xsp3_histogram_start")
    with pytest.raises(MissingFunction, match=r"xsp3_histogram_start: .*libxspress3.so does not have this function"):
        handle.start()
    with pytest.raises(MissingFunction, match="xsp3_get_generation"):
        handle.setup_clocks()


def test_failures_carry_the_librarys_own_message(old_library):
    with pytest.raises(Xspress3Error, match=r"xsp3_config: cannot connect to 10.0.0.9 \(status -9\)") as caught:
        configure(old_library, frames=64, base_ip="10.0.0.9")
    assert (caught.value.function, caught.value.status) == ("xsp3_config", -9)
    handle = configure(old_library, frames=64)
    with pytest.raises(Xspress3Error, match="no answer from card 0") as caught:
        handle.stop()
    assert caught.value.message == "no answer from card 0"


def test_undeclared_names_are_attribute_errors(old_library):
    with pytest.raises(AttributeError, match="xsp3_make_tea is not a declared function"):
        old_library.xsp3_make_tea  # noqa: B018


def test_no_such_file(tmp_path):
    with pytest.raises(LibraryNotLoaded, match=r"cannot load .*/libxspress3.so: no such file; give the path"):
        load(tmp_path / "libxspress3.so")


def test_a_name_the_loader_does_not_find():
    with pytest.raises(LibraryNotLoaded, match="libxspress3-of-nobody.so"):
        load("libxspress3-of-nobody.so")


def test_a_file_that_is_no_library(tmp_path):
    path = tmp_path / "libxspress3.so"
    path.write_text("not a library\n")
    with pytest.raises(LibraryNotLoaded) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_library_that_is_another(tmp_path):
    path = compiled(tmp_path, "int imd_open(void) { return 0; }", "libother.so")
    with pytest.raises(LibraryNotLoaded, match="it has no xsp3_config, so it is not libxspress3"):
        load(path)


def test_a_companion_beside_the_library_is_opened_first(tmp_path):
    compiled(tmp_path, "int imd_open(void) { return 5; }", "libimg_mod.so")
    path = compiled(tmp_path, "int imd_open(void); int xsp3_config(void) { return imd_open(); }")
    assert configure(load(path)).path == 5

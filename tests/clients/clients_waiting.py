"""What the server cannot do yet: tests that are expected to fail, and why. One that passes is to be taken out."""

_SIZES = "HDF1:ArraySize0..1_RBV are 0 at boot"
_LINK = "HDF1:NumCapture does not follow NumImages yet"

WAITING = {
    "test_clients_base_tools.py::test_caput_c_of_acquire_waits_for_the_end": _LINK,
    "test_clients_faults.py::test_15_corrected_spectra": "corrected spectra are not written yet",
    "test_clients_faults.py::test_16_capture_before_the_first_array": _SIZES,
    "test_clients_faults.py::test_17_or_an_abort_closes_it": "there is no option to close a file with an abort yet",
    "test_clients_faults.py::test_20_a_refused_number_of_images_changes_nothing": _LINK,
    "test_clients_nslsii.py::test_stage_trigger_read_unstage": _SIZES,
    "test_clients_nslsii.py::test_stop": _SIZES,
    "test_clients_ophyd.py::test_a_new_server_is_primed": _SIZES,
    "test_clients_ophyd.py::test_single_trigger_with_a_file_store": _SIZES,
    "test_clients_ophyd.py::test_warmup": _SIZES,
    "test_clients_ophyd.py::test_stop": _SIZES,
    "test_clients_ophyd_async.py::test_flush_now": "SWMRMode and FlushNow do nothing yet",
}

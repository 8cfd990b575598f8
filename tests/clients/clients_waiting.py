"""What the server cannot do yet: tests that are expected to fail, and why. One that passes is to be taken out."""

WAITING: dict[str, str] = {
    "test_clients_nslsii.py::test_stage_trigger_read_unstage": "its read_attrs leave the spectra out of the readings",
}

"""Names of files, and how many frames a chunk has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp3ioc.stream.file_commands import chunk_frames, full_file_name


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("%s%s%d.hdf5", "/data/x7.hdf5"),
        ("%s%s_%4.4d.h5", "/data/x_0007.h5"),
        ("%s%s_%03d.h5", "/data/x_007.h5"),
        ("%s%s.h5", "/data/x.h5"),
        ("%sfixed.h5", "/data/fixed.h5"),
        ("%s%s_100%%_%d", "/data/x_100%_7"),
        ("/elsewhere/file", "/elsewhere/file"),
    ],
)
def test_templates(template, name):
    assert full_file_name(template, "/data/", "x", 7) == name


@pytest.mark.parametrize("template", ["%s%s%d%d", "%d%s", "%s%s%q", "%s%s%", "%(x)s", "%s%s%*d", "%s%s%123d", "%.999s"])
def test_templates_that_do_not_fit(template):
    with pytest.raises(ValueError, match="FileTemplate"):
        full_file_name(template, "/data/", "x", 7)


@given(st.text(alphabet="%sd0123456789.*-+ #lxq(){}", max_size=30))
def test_any_template_is_refused_or_makes_a_name(template):
    try:
        name = full_file_name(template, "/data/", "x", 7)
    except ValueError as error:
        assert "FileTemplate" in str(error)
    else:
        assert len(name) < 2000


@pytest.mark.parametrize(
    ("explicit", "channels", "exposure", "capture", "frames"),
    [
        (0, 4, 1e-3, 0, 16),  # 1 MiB of 4 x 4096 x 4 bytes
        (0, 4, 0.25, 0, 4),  # the frames of a second
        (0, 4, 10.0, 0, 1),
        (0, 4, 1e-3, 5, 5),  # the whole capture
        (7, 4, 1e-3, 5, 7),  # as asked
        (0, 256, 1e-3, 0, 1),
    ],
)
def test_chunks(explicit, channels, exposure, capture, frames):
    assert chunk_frames(explicit, channels, 4096, exposure, capture) == frames

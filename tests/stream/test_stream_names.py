"""Names of files, and how many frames a chunk has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp3ioc.stream.file_names import chunk_frames, full_file_name, missing_levels, number_pattern


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
        pattern = number_pattern(template, "/data/", "x")
        assert not pattern or pattern % 7 == name


@pytest.mark.parametrize(
    ("template", "path", "name", "made"),
    [
        ("%s%s%d.hdf5", "/data/", "x", "/data/x8.hdf5"),
        ("%s%s_100%%_%4.4ld", "/data/", "x", "/data/x_100%_0008"),
        ("%s%s_%d", "/50%d/", "100%", "/50%d/100%_8"),
    ],
)
def test_patterns_make_names_of_numbers(template, path, name, made):
    assert number_pattern(template, path, name) % 8 == made == full_file_name(template, path, name, 8)


@pytest.mark.parametrize("template", ["%s%s.h5", "%sfixed_100%%", "/elsewhere/file"])
def test_names_without_a_number_have_no_pattern(template):
    assert number_pattern(template, "/data/", "x") == ""


@pytest.mark.parametrize(
    ("allowed", "levels"), [(0, 0), (-3, 3), (1, 4), (2, 3), (4, 1), (5, 0), (32, 0)]
)
def test_levels_of_directories_count_from_the_leaf(allowed, levels):
    assert missing_levels(allowed, "/a/b/c/d/x.h5") == levels


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

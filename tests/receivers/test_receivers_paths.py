import pytest

from xsp3ioc.receivers.paths import confined, describe, numbered, prepare


def refusal(path, **options):
    with pytest.raises(OSError) as caught:
        prepare(path, **options)
    return describe(caught.value, str(path))


def test_an_existing_file_is_refused(tmp_path):
    path = tmp_path / "x.h5"
    prepare(path)
    path.write_text("")
    assert refusal(path) == f"{path} exists already"
    prepare(path, overwrite=True)


def test_a_missing_directory_is_named(tmp_path):
    assert refusal(tmp_path / "a" / "x.h5") == f"{tmp_path}/a: no such directory"
    assert refusal(tmp_path / "a" / "b" / "x.h5", levels=1) == f"{tmp_path}/a/b: no such directory"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("levels", [2, -2, 5])
def test_directories_are_made_as_deep_as_allowed(tmp_path, levels):
    prepare(tmp_path / "a" / "b" / "x.h5", levels=levels)
    assert (tmp_path / "a" / "b").is_dir()


def test_a_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in refusal(tmp_path / "file" / "x.h5", levels=3)


def test_a_directory_in_the_files_place(tmp_path):
    assert "Is a directory" in refusal(tmp_path, overwrite=True)


def test_the_systems_reason_is_found_in_what_hdf5_says():
    error = OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')")
    assert describe(error, "x.h5") == "x.h5: No space left on device"
    assert describe(ValueError("two\nlines"), "x.h5") == "x.h5: two"


@pytest.mark.parametrize("name", ["x.h5", "/data/2026/x.h5", "sub/x.h5"])
def test_only_the_last_part_of_a_name_counts(tmp_path, name):
    assert confined(tmp_path, name) == tmp_path / "x.h5"


@pytest.mark.parametrize("name", ["", "/", "..", "../x.h5", "/data/../x.h5", "a\0b"])
def test_names_that_are_refused(tmp_path, name):
    with pytest.raises(PermissionError):
        confined(tmp_path, name)


def test_links_out_are_refused(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside.h5"
    root.mkdir()
    (root / "out.h5").symlink_to(outside)
    (root / "in.h5").symlink_to(root / "other.h5")
    with pytest.raises(PermissionError, match="leads out of"):
        confined(root, "out.h5")
    assert confined(root, "in.h5").name == "in.h5"


def test_numbers_stand_before_the_extension(tmp_path):
    assert numbered(tmp_path / "x.h5", 0).name == "x.h5"
    assert numbered(tmp_path / "x.h5", 3).name == "x_3.h5"

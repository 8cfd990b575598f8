import errno
import os
import shutil

import pytest

from xsp3ioc.receivers.paths import confined, describe, keep, numbered, prepare


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


def without_links(*_):
    raise OSError(errno.EOPNOTSUPP, "no hard links here")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("other_file_system", [True, False])
def test_what_another_program_made_meanwhile_is_not_replaced(tmp_path, monkeypatch, links, other_file_system):
    held, path = tmp_path / ".held.h5", tmp_path / "x.h5"
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    if other_file_system:
        if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("there is no second file system")
        held = type(held)(f"/dev/shm/xsp3ioc-test-{os.getpid()}.h5")
    try:
        held.write_text("held")
        path.write_text("precious")  # after `prepare` has looked
        with pytest.raises(FileExistsError) as caught:
            keep(str(held), str(path), False)
        assert describe(caught.value, str(path)) == f"{path} exists already"
        assert (held.read_text(), path.read_text()) == ("held", "precious")
        path.unlink()
        keep(str(held), str(path), False)
        assert path.read_text() == "held"
        shutil.copyfile(path, held)
        keep(str(held), str(path), True)
        assert list(tmp_path.iterdir()) == [path]
        assert not held.exists()
    finally:
        held.unlink(missing_ok=True)

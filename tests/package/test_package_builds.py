"""Wheel, sdist and editable install: each is made, installed in an environment of its own, and used."""

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("xsp3ioc", "xsp3ioc.sdk", "xsp3ioc.stream", "xsp3ioc.tango", "xsp3ioc.receivers")
SCRIPTS = ("xsp3ioc", "xsp3-print", "xsp3-write")


def run(*command, cwd):
    result = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the tree: building leaves things behind."""
    copy = tmp_path_factory.mktemp("source") / "xsp3ioc"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=ignored)
    return copy


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """The directory of the sdist, of the wheel made from it, and of the wheel made from the tree."""
    directory = tmp_path_factory.mktemp("dist")
    build = sys.executable, "-m", "build", "--no-isolation", source
    run(*build, "--outdir", directory / "by-sdist", cwd=directory)
    run(*build, "--outdir", directory / "direct", "--wheel", cwd=directory)
    return directory


def environment(directory):
    """An environment of its own, where the libraries of the tests' one are found behind its own packages."""
    run(sys.executable, "-m", "venv", directory, cwd=directory.parent)
    (site,) = directory.glob("lib/python*/site-packages")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # Only the directories: their own .pth files, such as that of an editable install, are not looked at.
    (site / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return directory / "bin"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The `bin` of an environment with the wheel."""
    (wheel,) = (built / "by-sdist").glob("*.whl")
    programs = environment(tmp_path_factory.mktemp("wheel") / "venv")
    run(programs / "pip", "install", "--no-deps", "--no-index", wheel, cwd=built)
    return programs


def contents(wheel):
    """Name -> digest of all files in a wheel but its own list of digests."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/RECORD")]
        assert len(names) == len(set(names))
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def test_the_wheel_has_every_module_once(built):
    (wheel,) = (built / "direct").glob("*.whl")
    packed = {name for name in contents(wheel) if name.startswith("xsp3ioc/")}
    expected = {f"xsp3ioc/{path.name}" for path in (ROOT / "xsp3ioc").glob("*.py")}
    for folder in ("sdk", "sdk/emulator", "stream", "tango", "receivers"):
        expected |= {f"xsp3ioc/{folder}/{path.name}" for path in (ROOT / folder).glob("*.py")}
    for folder in ("sdk/data", "data"):
        expected |= {f"xsp3ioc/{folder}/{path.name}" for path in (ROOT / "xsp3ioc" / folder).iterdir()}
    for ending in ("py", "bob"):
        expected |= {f"xsp3ioc/screens/{path.name}" for path in (ROOT / "xsp3ioc" / "screens").glob(f"*.{ending}")}
    assert packed == expected


def test_the_wheel_has_nothing_else(built):
    (wheel,) = (built / "direct").glob("*.whl")
    tops = {name.split("/")[0] for name in contents(wheel)}
    assert {top.split("-")[0] for top in tops} == {"xsp3ioc"}
    assert len(tops) == 2, "the package and its metadata"
    assert any(name.endswith("/LICENSE") for name in contents(wheel))


def test_the_sdist_builds_the_same_wheel(built):
    (direct,), (by_sdist,) = (built / "direct").glob("*.whl"), (built / "by-sdist").glob("*.whl")
    assert contents(direct) == contents(by_sdist)


def test_the_sdist_has_the_documents(built):
    (sdist,) = (built / "by-sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "setup.py", "sdk/data/srm1832.npz"):
        assert name in names
    assert not [name for name in names if name.startswith(("xsp3ioc/sdk/", "tests/"))]


def where(python, cwd):
    """The files that the packages are loaded from, by a Python started in `cwd`."""
    # xsp3ioc.tango has no __init__.py, so no file.
    code = f"import importlib; print(*(list(importlib.import_module(p).__path__)[0] for p in {PACKAGES}), sep='\\n')"
    return [Path(line).resolve() for line in run(python, "-c", code, cwd=cwd).splitlines()]


def test_the_installed_wheel_is_what_is_imported(installed, tmp_path):
    (site,) = installed.parent.glob("lib/python*/site-packages")
    assert where(installed / "python", tmp_path) == [site / package.replace(".", "/") for package in PACKAGES]
    assert list(site.glob("tango*")) == [], "ours is not a package of that name"


@pytest.mark.parametrize("script", SCRIPTS)
def test_installed_commands(installed, tmp_path, script):
    assert f"usage: {script}" in run(installed / script, "--help", cwd=tmp_path)


def test_installed_as_a_module(installed, tmp_path):
    assert run(installed / "python", "-m", "xsp3ioc", "--version", cwd=tmp_path).startswith("xsp3ioc ")


def test_installed_wheel_takes_frames(installed, tmp_path):
    # The emulator's packaged spectra, the writer as a child process, the sockets: all from the installed files.
    output = run(installed / "xsp3ioc", "demo", "--frames", 20, "--channels", 2, cwd=tmp_path)
    assert "Nothing was lost" in output
    assert (tmp_path / "xsp3-demo" / "demo_0001.h5").exists()


def test_editable_install(source, tmp_path):
    programs = environment(tmp_path / "venv")
    # Where venv still brings a setuptools, it is too old.
    run(programs / "pip", "uninstall", "--yes", "setuptools", cwd=tmp_path)
    run(programs / "python", "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "-e", source,
        cwd=tmp_path)  # fmt: skip
    folders = [source / (package.partition(".")[2] or package) for package in PACKAGES]
    for cwd in (tmp_path, source):
        assert where(programs / "python", cwd) == folders
        # In the tree, too, `tango` is PyTango.
        run(programs / "python", "-c", "import tango.server, xsp3ioc.tango.face", cwd=cwd)
    assert run(programs / "xsp3ioc", "--version", cwd=tmp_path).startswith("xsp3ioc ")

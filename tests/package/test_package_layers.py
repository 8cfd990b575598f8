"""Who may import whom, and other habits that a glance at the tree shows: docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("xsp3ioc", "sdk", "stream", "tango", "receivers")
PARTS = ("sdk/emulator", "xsp3ioc/screens")
MODULES = sorted(path for folder in (*FOLDERS, *PARTS) for path in (ROOT / folder).glob("*.py"))
LONGEST = 320
EMPTY_NAMES = {"utils", "util", "common", "base", "manager", "helper", "helpers", "misc", "tools"}

ALLOWED = {
    "sdk": {"sdk"},
    "stream": {"stream", "sdk"},
    "receivers": {"receivers", "messages"},
    "xsp3ioc": {"xsp3ioc", "stream", "sdk", "receivers"},
    "tango": {"tango", "stream", "sdk"},
}
"""Folder -> whose modules it may import. `messages`: the schema of the stream, and the formulas, which are pure."""

ZMQ_MODULES = {
    f"stream/{name}.py"
    for name in ("served_socket", "data_socket", "monitor_socket", "legacy_publisher", "stins_push", "curve")
}
"""Each with the class of one kind of socket, or what guards them."""

TANGO_FACE_STARTER = {"service", "tango_device", "xspress3ds"}
"""Modules of xsp3ioc/ that may start the Tango face."""

H5PY_MODULES = {
    "attributes", "check", "chunks", "compression", "copy_checks", "entries", "facts", "master", "nexus", "opening",
    "parts", "parts_shown", "performance", "reader", "rebuild", "recorded", "remaster", "rows", "rows_left", "salvage",
    "series_table", "summary", "survey", "virtual",
}  # fmt: skip
"""The writer and the file tools."""

MATPLOTLIB_MODULES = {"drawing", "view_figure", "view_window"}
"""What makes pictures; they import it when they need it."""


def imports(path):
    """Full names of what a module imports, and of what it imports from there."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages(path):
    """First names of what a module imports."""
    return {name.split(".")[0] for name in imports(path)}


def identify(path):
    return str(path.relative_to(ROOT))


def folder_of(path):
    return path.relative_to(ROOT).parts[0]


every_module = pytest.mark.parametrize("path", MODULES, ids=identify)


def own(name):
    """The folder, or `messages`, that `xsp3ioc....` stands for; None if it is none of ours."""
    words = name.split(".")
    if words[0] != "xsp3ioc":
        return None
    if words[1:3] in (["stream", "messages"], ["stream", "formulas"]):
        return "messages"
    return words[1] if len(words) > 1 and words[1] in FOLDERS else "xsp3ioc"


@every_module
def test_layers(path):
    folder = folder_of(path)
    allowed = set(ALLOWED[folder])
    if folder in ("stream", "tango", "xsp3ioc"):
        allowed.add("messages")
    if folder == "xsp3ioc" and path.stem in TANGO_FACE_STARTER:
        allowed.add("tango")
    for name in imports(path):
        if name != "xsp3ioc.__version__":
            assert own(name) in allowed | {None}, name


@every_module
def test_the_binding_does_not_know_the_emulator(path):
    if path.parent == ROOT / "sdk" and path.name != "__init__.py":
        assert not [name for name in imports(path) if name.startswith("xsp3ioc.sdk.emulator")]


@every_module
def test_each_library_has_its_place(path):
    folder, used = folder_of(path), packages(path)
    places = {
        "caproto": folder == "xsp3ioc",
        "tango": folder == "tango",
        "cffi": folder == "sdk",
        "zmq": folder == "receivers" or identify(path) in ZMQ_MODULES,
        "h5py": folder == "receivers" and path.stem in H5PY_MODULES,
        "hdf5plugin": folder == "receivers" and path.stem in H5PY_MODULES,
        "bitshuffle": (folder == "receivers" and path.stem in H5PY_MODULES) or identify(path) == "stream/bslz4.py",
        "matplotlib": folder == "receivers" and path.stem in MATPLOTLIB_MODULES,
        "epics": False,
        "phoebusgen": path.parent.name == "screens",
    }
    assert {name for name in used if not places.get(name, True)} == set()


@every_module
def test_nothing_received_is_executed(path):
    allowed = {"pickle.dumps"} if identify(path) == "stream/legacy_images.py" else set()  # written, never read
    used = {name.split(".")[0] for name in set(imports(path)) - allowed}
    assert used.isdisjoint({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert called not in {"eval", "exec", "recv_pyobj", "send_pyobj"}, f"line {node.lineno}"
            for keyword in node.keywords:
                pickled = keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                )
                assert not pickled, f"line {node.lineno}"


@every_module
def test_form(path):
    text = path.read_text()
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    assert text.startswith('"""'), "the first line is the module's docstring"
    assert first.rstrip().endswith((".", ":")), first
    assert len(text.splitlines()) <= LONGEST
    assert path.stem not in EMPTY_NAMES


def test_tango_has_no_init():
    # With one, everything run at the root would find our folder for PyTango's `tango`.
    assert not (ROOT / "tango" / "__init__.py").exists()


@pytest.mark.parametrize("folder", FOLDERS[1:])
def test_a_checkout_resolves_like_an_install(folder):
    link = ROOT / "xsp3ioc" / folder
    assert link.is_symlink()
    assert link.resolve() == ROOT / folder


@pytest.mark.parametrize("module", ["xsp3ioc", "xsp3ioc.__main__"])
def test_the_first_import_is_light(module, tmp_path):
    assert loaded(tmp_path, [module]).isdisjoint({"numpy", "caproto", "zmq", "h5py", "tango", "rich"})


def test_receivers_need_neither_sdk_nor_server(tmp_path):
    modules = [f"xsp3ioc.receivers.{path.stem}" for path in MODULES if path.parent.name == "receivers"]
    assert loaded(tmp_path, modules).isdisjoint({"caproto", "cffi", "tango", "xsp3ioc.sdk"})


def loaded(directory, modules):
    """All that a fresh interpreter has loaded once it has imported `modules`."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=True)
    return set(result.stdout.split())

"""Where the five top-level folders install: see docs/architecture.md, "Folders"."""

from setuptools import setup

FOLDERS = ("sdk", "stream", "tango", "receivers")

setup(
    packages=["xsp3ioc", *(f"xsp3ioc.{folder}" for folder in FOLDERS), "xsp3ioc.sdk.emulator", "xsp3ioc.screens"],
    package_dir={"xsp3ioc": "xsp3ioc", **{f"xsp3ioc.{folder}": folder for folder in FOLDERS}},
    package_data={"xsp3ioc": ["data/*"], "xsp3ioc.screens": ["*.bob"], "xsp3ioc.sdk": ["data/*"]},
)

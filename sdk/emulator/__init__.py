"""An Xspress3 in software, with the vendor library's own functions: `library.EmulatedLibrary`."""

"""A library that notes which functions are called, with what, and can answer in the place of another."""

from xsp3ioc.sdk.cdef import ffi, prototypes


class Recorder:
    """Every function of another library behind a C function pointer, so that all arguments are what C would get.

    `calls` holds (name, arguments without the path); `answers` are used instead of the other library's functions, and
    the functions `without` are not there.
    """

    def __init__(self, library, without=(), **answers):
        self.library_name, self.simulated = library.library_name, library.simulated
        self.calls = []
        self._library, self._without, self._answers = library, frozenset(without), answers

    def has(self, name):
        return name in prototypes() and name not in self._without

    @property
    def names(self):
        return [name for name, _ in self.calls]

    def last(self, name):
        """Arguments of the last call of a function."""
        return next(arguments for called, arguments in reversed(self.calls) if called == name)

    def __getattr__(self, name):
        assert self.has(name), name
        answer = self._answers.get(name) or getattr(self._library, name)

        def called(*arguments):
            self.calls.append((name, arguments[1:]))
            return answer(*arguments)

        function = ffi.callback(prototypes()[name].pointer_type, called)
        setattr(self, name, function)
        return function

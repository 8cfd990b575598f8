"""What becomes of a value that somebody puts: converted, or refused in words that name what is allowed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.parameter import Parameter, parameters
from xsp3ioc.stream.store import shorten

COUNT = Parameter(1, "", pv="Count", unit="frames", low=1, high=100)
SECONDS = Parameter(0.5, "", pv="Seconds", unit="s", low=1e-6)
MODE = Parameter(1, "", pv="Mode", choices=("Off", "On", "7"))
SWITCH = Parameter(False, "", pv="/HDF1:Switch", choices=("No", "Yes"))
TEXT = Parameter("", "", tango="Text")


@pytest.mark.parametrize(
    ("parameter", "value", "converted"),
    [
        (COUNT, 7, 7),
        (COUNT, 7.0, 7),
        (COUNT, "7", 7),
        (COUNT, True, 1),
        (SECONDS, 1, 1.0),
        (SECONDS, "1e-3", 0.001),
        (MODE, "On", 1),
        (MODE, "7", 2),  # the name comes before the number
        (MODE, "0", 0),
        (MODE, 1.0, 1),
        (SWITCH, "Yes", True),
        (SWITCH, 0, False),
        (TEXT, "x" * 39, "x" * 39),
        (TEXT, "é", "é"),
    ],
)
def test_converted(parameter, value, converted):
    found = parameter.convert(value)
    assert found == converted
    assert type(found) is type(parameter.default)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (COUNT, 0, "Count = 0 is below 1 frames"),
        (COUNT, 101, "Count = 101 is above 100 frames"),
        (COUNT, 1.5, "Count = 1.5 is not a whole number"),
        (COUNT, "1.5", "is not a whole number"),
        (COUNT, float("nan"), "is not a whole number"),
        (COUNT, float("inf"), "is not a whole number"),
        (COUNT, None, "is not a whole number"),
        (COUNT, [1, 2], "is not a whole number"),
        (SECONDS, "soon", "Seconds = 'soon' is not a number"),
        (SECONDS, float("nan"), "Seconds = nan is not a number"),
        (SECONDS, -1, "Seconds = -1 is below 1e-06 s"),
        (MODE, "on", "Mode = 'on' is none of Off (0), On (1), 7 (2)"),
        (MODE, 3, "Mode = 3 is none of"),
        (MODE, -1, "Mode = -1 is none of"),
        (MODE, float("nan"), "is none of"),
        (MODE, float("inf"), "is none of"),
        (SWITCH, 2, "HDF1:Switch = 2 is none of No (0), Yes (1)"),
        (TEXT, "x" * 40, "Text has 40 characters, more than 39"),
        (TEXT, "a\nb", "cannot be printed"),
        (TEXT, "a\0", "cannot be printed"),
    ],
)
def test_refused(parameter, value, message):
    with pytest.raises(ValueError, match=r"^(Count|Seconds|Mode|HDF1|Text)") as raised:
        parameter.convert(value)
    assert message in str(raised.value)


@given(
    st.sampled_from([known for known in parameters(Declared).values() if known.writable]),
    st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.binary()),
)
def test_nothing_else_ever_happens(parameter, value):
    try:
        converted = parameter.convert(value)
    except ValueError as error:
        assert parameter.label in str(error)
    else:
        assert type(converted) is type(parameter.default)
        if parameter.low is not None:
            assert parameter.low <= converted
        if parameter.high is not None:
            assert converted <= parameter.high


def test_defaults_are_allowed():
    for parameter in parameters(Declared).values():
        if parameter.writable:
            assert np.all(parameter.convert(parameter.default) == parameter.default)


@given(st.text(), st.integers(10, 300))
def test_long_messages_keep_their_ends(text, longest):
    short = shorten(text, longest)
    assert len(short) <= max(longest, 0)
    assert short == text or (" ... " in short and text.startswith(short[:2]) and text.endswith(short[-2:]))

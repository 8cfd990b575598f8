"""Definitions of NDAttributes: what is understood, what is refused and in which words, and what is never followed."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsp3ioc.stream.attribute_sources import OURS
from xsp3ioc.stream.attribute_xml import LARGEST, AttributesError, Status, expand, read_attributes, read_macros
from xsp3ioc.stream.attributes import CHANNEL_COLUMNS, FRAME_TYPES
from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.parameter import parameters

PARAMETERS = parameters(Declared)
CHANNELS = 4
DOCTYPE = '<!DOCTYPE Attributes [<!ENTITY {}>]><Attributes><Attribute name="a" type="CONST" source="&e;"/></Attributes>'


def read(text, macros=""):
    return read_attributes(text, macros, PARAMETERS, CHANNELS)


def one(fields, macros=""):
    (found,) = read(f"<Attributes><Attribute {fields}/></Attributes>", macros)
    return found.attribute


def refusal(text, macros="", status=Status.syntax):
    with pytest.raises(AttributesError) as refused:
        read(text, macros)
    assert refused.value.status is status
    return str(refused.value)


def refused_element(fields):
    return refusal(f"<Attributes>\n  <Attribute {fields}/>\n</Attributes>")


def test_the_drivers_own_file():
    """Its records have data types, which areaDetector does not look at."""
    found = read(
        """<?xml version="1.0" encoding="latin-1"?>
        <!-- of four channels -->
        <Attributes>
          <Attribute  name="RingCurrent"  source="S:SRcurrentAI.VAL" type="EPICS_PV" datatype="DOUBLE" />
          <Attribute  name="ArrayCounter" source="ARRAY_COUNTER" type="PARAM" datatype="INT" description="Counter" />
          <Attribute  name="Model"        source="MODEL" type="PARAM" datatype="STRING" description="Camera model" />
          <Attribute  name="CHAN4SCA0"    source="XSP3_CHAN_SCA0" addr="3" type="PARAM" datatype="DOUBLE" />
        </Attributes>"""
    )
    told = [(f.attribute.name, f.attribute.type, f.attribute.addr, f.attribute.datatype, f.native) for f in found]
    assert told == [
        ("RingCurrent", "EPICS_PV", 0, "f8", True),
        ("ArrayCounter", "PARAM", 0, "i4", False),
        ("Model", "PARAM", 0, "S256", False),
        ("CHAN4SCA0", "PARAM", 3, "f8", False),
    ]
    assert [f.attribute.of_the_frame for f in found] == [False, True, False, True]


@pytest.mark.parametrize(
    ("fields", "unit"),
    [('type="PARAM" source="ACQ_TIME"', "s"), ('type="PARAM" source="NIMAGES"', ""), ('source="A:b"', "")],
)
def test_units_of_parameters(fields, unit):
    assert one(f'name="a" {fields}').unit == unit


@pytest.mark.parametrize(
    ("fields", "datatype"),
    [
        ('source="A:b"', "f8"),
        ('source="A:b" dbrtype="DBR_NATIVE"', "f8"),
        ('source="A:b" dbrtype="DBR_STRING"', "S256"),
        ('source="A:b" dbrtype="DBR_CHAR"', "i1"),
        ('source="A:b" dbrtype="DBR_SHORT"', "i2"),
        ('source="A:b" dbrtype="DBR_LONG"', "i4"),
        ('source="A:b" dbrtype="DBR_FLOAT"', "f4"),
        ('type="CONST" source="7"', "S256"),
        ('type="CONST" source="" datatype="STRING"', "S256"),
        ('type="CONST" source="7" datatype="int"', "i4"),
        ('type="CONST" source="-1e3" dbrtype="DBR_DOUBLE"', "f8"),
        ('type="PARAM" source="ACQ_TIME"', "f8"),
        ('type="PARAM" source="ACQ_TIME" datatype="STRING"', "S256"),
        ('type="PARAM" source="NIMAGES"', "i4"),
        ('type="PARAM" source="exposure_time"', "f8"),
        ('type="PARAM" source="STATUS_MESSAGE"', "S256"),
        ('type="PARAM" source="TRIGGER_MODE" datatype="STRING"', "S256"),
        ('type="PARAM" source="XSP3_CHAN_SCA8" addr="0x3" datatype="INT64"', "i8"),
        ('type="PARAM" source="XSP3_CHAN_SCA5_LLM" addr="3"', "i4"),
        ('type="PARAM" source="TIME_STAMP"', "f8"),
    ],
)
def test_types(fields, datatype):
    assert one(f'name="a" {fields}').datatype == datatype


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('source="A:b"', "line 2: an Attribute has no name"),
        ('name="a"', "line 2, attribute 'a': it has no source"),
        ('name="a" source=""', "it has no source"),
        ('name="a" source="A:b" type="PVA"', "type 'PVA' is none of EPICS_PV, PARAM, CONST"),
        ('name="a" source="A:b" dbrtype="DBR_BOOL"', "dbrtype 'DBR_BOOL' is none of DBR_CHAR"),
        ('name="a" source="A b"', "source 'A b' is no name of a record"),
        ('name="a/b" source="A:b"', "a name has 1 to 100 characters and no / in it"),
        ('name=".." source="A:b"', "a name has 1 to 100 characters and no / in it"),
        ('name="a" type="PARAM" source="ACQTIME"', "there is no parameter 'ACQTIME'; there is ACQ_TIME"),
        ('name="a" type="PARAM" source="XSP3_CHAN_SCA9"', "no parameter 'XSP3_CHAN_SCA9'; there is XSP3_CHAN_"),
        ('name="a" type="PARAM" source="XSP3_CHAN_SCA0" addr="4"', "addr=4 is no channel; XSP3_CHAN_SCA0 has 0..3"),
        ('name="a" type="PARAM" source="XSP3_CHAN_SCA0" addr="-1"', "addr=-1 is no channel"),
        ('name="a" type="PARAM" source="XSP3_CHAN_SCA0" addr="x"', "addr 'x' is not a whole number"),
        ('name="a" type="PARAM" source="XSP3_CHAN_SCA0" datatype="STRING"', "XSP3_CHAN_SCA0 is a number, not a STRING"),
        ('name="a" type="PARAM" source="MODEL" datatype="INT"', "MODEL is text: datatype STRING"),
        ('name="a" type="PARAM" source="NIMAGES" datatype="FLOAT"', "datatype 'FLOAT' is none of INT, INT64, DOUBLE"),
        ('name="a" type="PARAM" source="mca"', "mca is not one value; use type EPICS_PV"),
        ('name="a" type="CONST" source="x" datatype="INT"', "the constant 'x' is not a whole number of 32 bits"),
        ('name="a" type="CONST" source="300" dbrtype="DBR_CHAR"', "the constant '300' is not a whole number of 8 bits"),
    ],
)
def test_refusals_say_what_and_where(fields, said):
    assert said in refused_element(fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<Attributes>\n<Attribute name='a'", "line 2, column 1: unclosed token"),
        ("<Attributes></Attribute>", "line 1, column 15: mismatched tag"),
        ("<Attrs/>", "element 'Attrs' where only Attributes may be"),
        ("<Attributes><Attr/></Attributes>", "element 'Attr' where only Attribute may be"),
        ("<Attributes><Attribute name='a' source='b'><x/></Attribute></Attributes>", "'x' where only nothing may be"),
        ("<Attributes>&amp;&e;</Attributes>", "undefined entity"),
        ("<Attributes/>trailing", "junk after document element"),
        ("<Attributes>\x01</Attributes>", "not well-formed"),
        ("<Attributes>\ud800</Attributes>", "not well-formed"),
    ],
)
def test_what_is_no_definition(text, said):
    assert said in refusal(text)


def test_names_come_once():
    text = "<Attributes>{}</Attributes>".format("\n<Attribute name='a' source='b'/>" * 2)
    assert refusal(text) == "line 3, attribute 'a' comes twice"


def test_functions_are_counted():
    functions = "".join(f"<Attribute name='f{n}' type='FUNCT' source='g' param='1'/>" for n in range(7))
    said = refusal(f"<Attributes><Attribute name='a' source='b'/>{functions}</Attributes>")
    assert said.startswith("7 of 8 attributes are of type FUNCT (f0, f1, f2, f3, f4, ...): ")


# macros


def test_macros():
    attribute = one('name="$(N)" source="$(P)${R=det1:}x" description="$(D=a,b)"', "N=me, P='XF:{Det:1,2}',")
    assert (attribute.name, attribute.source, attribute.description) == ("me", "XF:{Det:1,2}det1:x", "a,b")


def test_without_macros_nothing_is_filled_in():
    """The macros are often written after the text that needs them."""
    assert one('name="a" source="$(P)x"').source == "$(P)x"


def test_a_macro_that_is_not_there():
    text = "<Attributes>\n<Attribute name='a' source='$(P)$(Q)'/></Attributes>"
    assert refusal(text, "P=1", Status.macros) == "line 2: macro 'Q' is not defined; defined are P"


@pytest.mark.parametrize("macros", ["x", "=1", "P", "P=1,Q", "P='1", "P=1,,Q=2"])
def test_macros_that_are_none(macros):
    assert "NAME=VALUE" in refusal("<Attributes/>", macros, Status.macros)


def test_macros_make_no_huge_text():
    started = time.monotonic()
    assert "more than" in refusal("$(A)" * 250_000, f"A={'x' * 250}", Status.macros)
    assert time.monotonic() - started < 30


MACROS = st.dictionaries(
    st.from_regex(r"[\w.-]{1,8}", fullmatch=True), st.text("aZ09:{}$. ", max_size=10).map(str.strip)
)


@given(MACROS)
def test_macros_are_read_as_they_are_written(macros):
    text = ",".join(f"{name}={value}" for name, value in macros.items())
    assert read_macros(text) == macros
    assert expand("".join(f"$({name})" for name in macros), macros) == "".join(macros.values())


# what must not be followed


@pytest.mark.parametrize(
    "text",
    [
        DOCTYPE.format('e "x"'),
        DOCTYPE.format('e SYSTEM "file:///etc/passwd"'),
        DOCTYPE.format('e PUBLIC "x" "http://127.0.0.1:9/x"'),
        DOCTYPE.format('% p SYSTEM "file:///etc/passwd"> %p; <!ENTITY e "x"'),
        '<!DOCTYPE Attributes SYSTEM "http://127.0.0.1:9/x.dtd"><Attributes/>',
        "<!DOCTYPE Attributes><Attributes/>",
    ],
)
def test_no_dtd_and_no_entities(text):
    assert "a DTD or entity is not allowed" in refusal(text)


def test_a_billion_laughs_take_no_time():
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    started = time.monotonic()
    said = refusal(f'<!DOCTYPE a [<!ENTITY e0 "ha">{levels}]><Attributes>&e11;</Attributes>')
    assert "a DTD or entity is not allowed" in said
    assert time.monotonic() - started < 5


def test_long_texts_are_not_read():
    assert "characters are more than" in refusal("<Attributes>" + " " * LARGEST + "</Attributes>")
    many = "".join(f"<Attribute name='a{n}' source='b'/>" for n in range(5000))
    assert "there are more than 4096 attributes" in refusal(f"<Attributes>{many}</Attributes>")
    deep = "<Attributes>" + "<Attribute name='a' source='b'>" * 10000
    assert "where only nothing may be" in refusal(deep)


@settings(max_examples=300)
@given(st.text(max_size=200), st.text("AB=,$(){}'\" x", max_size=30))
def test_any_text_is_read_or_refused(text, macros):
    try:
        read(text, macros)
    except AttributesError as refused:
        assert refused.status is not Status.good
        assert str(refused)


TOKENS = [
    "<Attributes>", "</Attributes>", "<Attribute ", "/>", ">", 'name="a" ', 'name="b" ', 'source="A:b" ',
    'type="PARAM" ', 'type="CONST" ', 'source="XSP3_CHAN_SCA0" ', 'addr="1" ', 'datatype="DOUBLE" ',
    'dbrtype="DBR_LONG" ', "<!ENTITY e 'x'>", "<!DOCTYPE a [", "]>", "&e;", "$(A)",
    "<?xml version='1.0'?>", "<!-- x -->", "<![CDATA[", "]]>", "\0", "é",
]  # fmt: skip


@settings(max_examples=500)
@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_any_pieces_of_a_definition_are_read_or_refused(text):
    try:
        for found in read(text, "A=b"):
            assert found.attribute.name in ("a", "b")
    except AttributesError as refused:
        assert "!DOCTYPE" not in str(refused)


NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/<&\"'\ufffe\uffff"), min_size=1, max_size=100
)
SOURCES = st.sampled_from(sorted(CHANNEL_COLUMNS))


@settings(max_examples=200)
@given(NAMES, SOURCES, st.integers(0, CHANNELS - 1), st.sampled_from(["INT", "DOUBLE"]))
def test_what_is_written_is_what_is_read(name, source, addr, datatype):
    if name in (".", ".."):
        return
    found = one(f'name="{name}" type="PARAM" source="{source}" addr="{addr}" datatype="{datatype}"')
    assert (found.name, found.source, found.addr) == (name, source, addr)
    assert found.datatype == {"INT": "i4", "DOUBLE": "f8"}[datatype]


def test_the_names_of_the_driver_mean_parameters_of_ours():
    assert set(OURS.values()) <= PARAMETERS.keys()
    assert not OURS.keys() & (CHANNEL_COLUMNS.keys() | FRAME_TYPES.keys())
    ours = {name for name in (*CHANNEL_COLUMNS, *FRAME_TYPES) if name.islower()}
    assert ours - {scaler.name for scaler in Scaler} <= PARAMETERS.keys()

"""The files load, are those that the generator makes, and nothing in them overlaps or is cut off."""

import itertools
import re

import pytest
from screens_files import FILES, PADDING, Place, font, inner_size, load, opened, places, substituted, text_width

from xsp3ioc.screens.generate import screens

MACROS = {"P", "R", "CHAN", "DID", "pv_name", "pv_value"}
"""What the user gives, and what Phoebus knows by itself."""
LONGEST_PREFIX = {"P": "XF:05IDD-ES{Xsp:1}:", "R": "det1:", "CHAN": "16"}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def test_those_that_are_promised_are_there():
    names = ("main", "channel", "grid", "rois", "tseries", "connect", "file")
    assert {f"xsp3_{name}.bob" for name in names} <= {path.name for path in FILES}


def test_they_are_what_the_generator_makes():
    made = screens()
    assert {path.name for path in FILES} == set(made)
    for path in FILES:
        assert path.read_text() == made[path.name], f"{path.name}: `python -m xsp3ioc.screens.generate` writes it anew"


@every_file
def test_it_is_a_display(path):
    root = load(path)
    assert (root.tag, root.get("version")) == ("display", "2.0.0")
    assert list(places(root))


@every_file
def test_all_lie_within_their_parent(path):
    for place in places(load(path)):
        x, y, width, height = place.box
        right, bottom = inner_size(place.parent)
        assert x >= 0 and y >= 0 and width > 0 and height > 0, place
        assert x + width <= right and y + height <= bottom, place


@every_file
def test_nothing_overlaps(path):
    root = load(path)
    for container in (root, *(place.element for place in places(root) if place.kind == "group")):
        inside = [Place(element, container) for element in container.findall("widget")]
        for one, other in itertools.combinations(inside, 2):
            x, y, width, height = one.box
            x2, y2, width2, height2 = other.box
            apart = x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
            assert apart, f"{one} and {other}"


@every_file
def test_all_stand_on_the_grid(path):
    for place in places(load(path)):
        assert [number % 5 for number in place.box] == [0, 0, 0, 0], place


@every_file
def test_no_text_is_cut_off(path):
    for place in places(load(path)):
        element = place.element
        width = place.box[2]
        if place.kind in ("label", "action_button"):
            room = width - (2 * PADDING if place.kind == "action_button" else 0)
            texts = [substituted(element.findtext("text"), **LONGEST_PREFIX)]
        elif place.kind == "choice":
            texts = re.findall(r'"([^"]*)"', place.pv)
            room = width / len(texts) - 2 * PADDING
        elif place.kind == "multi_state_led":
            texts, room = [state.findtext("label") for state in element.iter("state")], width
        elif place.kind == "group":
            texts, room = [element.findtext("name")], width
        else:
            continue
        for text in texts:
            assert text_width(text, *font(element)) <= room, f"{place}: {text!r}"


@every_file
def test_widgets_of_a_kind_look_alike(path):
    looks = {}
    for place in places(load(path)):
        if place.kind in ("textupdate", "textentry", "combo"):
            colour = place.element.find("background_color/color").get("name")
            looks.setdefault(place.kind, set()).add((colour, font(place.element), place.box[3]))
    assert all(len(look) == 1 for look in looks.values()), looks


@every_file
def test_alarms_show(path):
    for place in places(load(path)):
        if place.kind in ("textupdate", "textentry", "combo", "progressbar", "multi_state_led"):
            assert place.element.findtext("border_alarm_sensitive") == "true", place


@every_file
def test_what_it_opens_is_there(path):
    assert opened(load(path)) <= {path.name for path in FILES}


def test_every_screen_is_reached_from_the_main_one():
    reached, new = set(), {"xsp3_main.bob"}
    while new:
        reached |= new
        new = set().union(*(opened(load(path)) for path in FILES if path.name in new)) - reached
    assert reached == {path.name for path in FILES}


@every_file
def test_macros(path):
    assert set(re.findall(r"\$\((\w+)\)", path.read_text())) <= MACROS


@every_file
def test_what_it_embeds_fits(path):
    sizes = {other.name: inner_size(load(other)) for other in FILES}
    for place in places(load(path)):
        if place.kind in ("embedded", "navtabs"):
            room = place.box[2], place.box[3] - int(place.element.findtext("tab_height") or 0)
            for name in opened(place.element):
                assert sizes[name][0] <= room[0] and sizes[name][1] <= room[1], f"{place}: {name}"

import colorsys
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpreport.literate.schemes import INK, SLATE, dark, dark_colour, light

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def luminance(colour):
    """Follow the definition in WCAG 2.2, independently of the code under test."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def hue(colour):
    """Give the HSV hue in degrees: another colour model than that of the code, hence the tolerance above."""
    return 360 * colorsys.rgb_to_hsv(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))[0]


def svg(content, attributes=""):
    return f'<svg xmlns="http://www.w3.org/2000/svg"{attributes}>{content}</svg>'


def test_ink_becomes_light_and_paper_dark():
    assert (dark_colour("#000000"), dark_colour("#ffffff")) == (INK, SLATE)
    assert (dark_colour("#000"), dark_colour("#FFF"), dark_colour("black"), dark_colour("white")) == (
        INK,
        SLATE,
    ) * 2


@given(COLOURS)
def test_what_can_be_read_on_white_can_be_read_on_the_dark_page(colour):
    wanted = min(contrast(colour, "#ffffff"), 4.5)
    assert contrast(dark_colour(colour), SLATE) >= wanted - 0.1  # eight bits a channel


@given(st.integers(0, 255))
def test_greys_keep_their_contrast_with_the_page(level):
    grey = f"#{level:02x}{level:02x}{level:02x}"
    wanted = min(contrast(grey, "#ffffff"), contrast(INK, SLATE))
    assert contrast(dark_colour(grey), SLATE) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("colour", ["#1f77b4", "#ff7f0e", "#d62728", "#8c564b", "#0000ff", "#800080"])
def test_colours_keep_their_hue(colour):
    turn = (hue(dark_colour(colour)) - hue(colour) + 180) % 360 - 180
    assert abs(turn) < 20


def test_bright_colours_stay_as_they_are():
    assert dark_colour("#ffdd00") == "#ffdd00"


def test_what_has_no_fill_of_its_own_becomes_light():
    assert dark(svg('<path d="M0 0"/>')).startswith(f'<svg xmlns="http://www.w3.org/2000/svg" fill="{INK}">')
    assert 'fill="none"' in dark(svg("", ' fill="none"'))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('style="stroke: #000000; fill: none"', f'style="stroke: {INK}; fill: none"'),
        ('style="fill:white"', f'style="fill:{SLATE}"'),
        ('fill="#000" stroke="black"', f'fill="{INK}" stroke="{INK}"'),
        ('style="fill: url(#p000000)"', 'style="fill: url(#p000000)"'),
        ('id="#000000" clip-path="url(#abc)"', 'id="#000000" clip-path="url(#abc)"'),
    ],
)
def test_only_paint_is_recoloured(before, after):
    assert f"<path {after} />" in dark(svg(f"<path {before}/>"))


def test_areas_of_colour_maps_and_embedded_images_keep_their_colours():
    mapped = svg('<g id="QuadMesh_1"><g><path style="fill: #440154"/></g></g>')
    assert "#440154" in dark(mapped)
    assert "#440154" not in dark(mapped.replace("QuadMesh", "patch"))
    lines = svg('<g id="QuadContourSet_1"><path style="fill: none; stroke: #440154"/></g>')
    assert "#440154" not in dark(lines)
    image = svg('<image href="data:image/png;base64,AAAA"/>')
    assert "data:image/png;base64,AAAA" in dark(image)


def test_the_light_version_is_the_image_without_metadata():
    image = svg("<metadata>Creator</metadata><path d='M0 0' style='stroke: #000000'/>")
    assert (
        light(f'<?xml version="1.0"?>\n<!DOCTYPE svg>{image}')
        == svg('<path d="M0 0" style="stroke: #000000" />') + "\n"
    )


def test_an_image_without_namespace_gets_it():
    assert re.match(r'<svg xmlns="http://www.w3.org/2000/svg"', light("<svg><g/></svg>"))


@given(st.lists(COLOURS, max_size=3))
def test_both_versions_have_the_same_shapes(colours):
    image = svg("".join(f'<path d="M0 0" style="fill: {c}"/>' for c in colours))
    paths = [
        re.sub("#[0-9a-f]{6}", "", version)
        for version in (light(image), dark(image).replace(f' fill="{INK}"', ""))
    ]
    assert paths[0] == paths[1]

"""The dark version of a figure, computed from the light one: colours change lightness, never hue.

Lightness and hue are those of OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/); contrast is the
ratio of WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
"""

import re
from functools import cache
from xml.etree import ElementTree as ET

Colour = tuple[float, float, float]
"""Linear-light sRGB components in [0, 1]."""

WHITE = "#ffffff"
SLATE = "#1e2129"
"""The page background of Material's slate scheme, hsl(225, 15%, 14%)."""

INK = "#e2e4e9"
"""What black becomes: about the text colour of the slate scheme."""

_EXACT = {WHITE: SLATE, "#000000": INK}
_NAMED = {"white": WHITE, "black": "#000000"}
_TEXT_CONTRAST = 4.5
_NEUTRAL_CHROMA = 0.05
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})(?![0-9a-zA-Z])|(?<![\w-])(?:white|black)(?![\w-])")
_PAINTED = ("style", "fill", "stroke", "stop-color", "color")
# Where matplotlib draws colour maps as areas: their order matters more than the contrast of one of them.
_COLOUR_MAPS = ("QuadMesh", "QuadContourSet", "TriMesh")
_SVG = "http://www.w3.org/2000/svg"


def light(svg: str) -> str:
    """Normalise an SVG image: without its metadata and document type."""
    return _written(_read(svg))


def dark(svg: str) -> str:
    """Recolour an SVG image made for a white page so that it can be read on a dark one.

    Greys and pale tints keep the contrast with the page that they had on white (black ink becomes light, white
    patches dark); other colours are lightened until they reach the contrast they had on white, at most 4.5.
    Embedded raster images and the areas of colour maps stay as they are.
    """
    root = _read(svg)
    root.set("fill", root.get("fill", "#000000"))  # matplotlib leaves out the fill of what is black
    _recolour(root, mapped=False)
    return _written(root)


def _read(svg: str) -> ET.Element:
    root = ET.fromstring(svg)  # noqa: S314 - a cell of the site has made it
    if root.tag == "svg":
        root.set("xmlns", _SVG)  # needed in a file, often left out in HTML
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    return root


def _written(root: ET.Element) -> str:
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ET.tostring(root, encoding="unicode") + "\n"


def _recolour(element: ET.Element, *, mapped: bool) -> None:
    mapped = mapped or element.get("id", "").startswith(_COLOUR_MAPS)
    for name in _PAINTED:
        paint = element.get(name)
        if paint and (not mapped or "fill: none" in paint):
            element.set(name, _COLOUR.sub(lambda match: dark_colour(match[0]), paint))
    for child in element:
        _recolour(child, mapped=mapped)


@cache
def dark_colour(colour: str) -> str:
    """Give the colour for the dark page that stands for `colour`, written `#rrggbb`, on a white one."""
    rgb = _linear(colour)
    if _hex(rgb) in _EXACT:
        return _EXACT[_hex(rgb)]
    lightness, a, b = _oklab(rgb)
    on_white = contrast(rgb, _linear(WHITE))
    if a * a + b * b < _NEUTRAL_CHROMA**2:
        start = (_oklab(_linear(SLATE))[0], a, b)
        return _reach(start, min(on_white, contrast(_linear(INK), _linear(SLATE))))
    wanted = min(on_white, _TEXT_CONTRAST)
    return colour if contrast(rgb, _linear(SLATE)) >= wanted else _reach((lightness, a, b), wanted)


def contrast(one: Colour, other: Colour) -> float:
    """Give the WCAG contrast ratio, 1 to 21, of two colours."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _reach(start: Colour, wanted: float) -> str:
    """Mix the OKLab colour `start` with as little white as brings its contrast with the dark page to `wanted`.

    Towards white the hue stays and the chroma falls, so that the colours on the way can be shown.
    """
    page = _linear(SLATE)
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        if contrast(_mixed(start, middle), page) < wanted:
            low = middle
        else:
            high = middle
    return _hex(_mixed(start, high))


def _mixed(start: Colour, white: float) -> Colour:
    lightness, a, b = start
    return _rgb(lightness + (1 - lightness) * white, a * (1 - white), b * (1 - white))


def _linear(colour: str) -> Colour:
    digits = _NAMED.get(colour, colour).lstrip("#")
    if len(digits) == 3:  # noqa: PLR2004  # the short form of CSS
        digits = "".join(digit * 2 for digit in digits)
    r, g, b = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return (_decode(r), _decode(g), _decode(b))


def _decode(s: float) -> float:
    return s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4  # noqa: PLR2004  # IEC 61966-2-1


def _encode(s: float) -> float:
    s = min(max(s, 0.0), 1.0)
    return s * 12.92 if s <= 0.0031308 else 1.055 * s ** (1 / 2.4) - 0.055  # noqa: PLR2004  # IEC 61966-2-1


def _hex(rgb: Colour) -> str:
    return "#" + "".join(f"{round(255 * _encode(s)):02x}" for s in rgb)


def _luminance(rgb: Colour) -> float:
    r, g, b = (min(max(s, 0.0), 1.0) for s in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _oklab(rgb: Colour) -> Colour:
    r, g, b = rgb
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _rgb(lightness: float, a: float, b: float) -> Colour:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )

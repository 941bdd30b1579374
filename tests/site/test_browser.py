"""The site in Chromium: from a folder and from a server, on a phone and on a desk, in both schemes."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

pytestmark = pytest.mark.browser


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program, f"none of {', '.join(PROGRAMS)} is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(SWITCHES))
        yield browser
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="address")
def _address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _pages(site: Path) -> list[str]:
    return [str(file.relative_to(site)) for file in sorted(site.rglob("*.html"))]


def _open(
    browser: Browser, url: str, *, width: int = 1280, scheme: str = "light"
) -> tuple[Page, list[str], list[str]]:
    """Open a page, and note what it asks for and what it complains about."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.goto(url, wait_until="load")
    return page, requests, complaints


def test_from_a_folder_nothing_else_is_asked_for_and_nothing_complains(browser: Browser, site: Path) -> None:
    for name in _pages(site):
        if name == "404.html":
            continue  # its links start at the root of a server
        page, requests, complaints = _open(browser, (site / name).as_uri())
        page.wait_for_timeout(100)
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == [], name
        assert complaints == [], name
        page.close()


def test_from_a_server_nothing_else_is_asked_for_and_nothing_complains(
    browser: Browser, site: Path, address: str
) -> None:
    for name in _pages(site):
        page, requests, complaints = _open(browser, f"{address}/{name}")
        page.wait_for_load_state("networkidle")
        assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == [], name
        assert complaints == [], name
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_narrow_phone(browser: Browser, site: Path, scheme: str) -> None:
    wide = {}
    for name in _pages(site):
        page, _, _ = _open(browser, (site / name).as_uri(), width=320, scheme=scheme)
        wide[name] = page.evaluate("document.documentElement.scrollWidth")
        page.close()
    assert {name: width for name, width in wide.items() if width > 320} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_figure_of_the_scheme_is_shown_and_the_other_is_not(
    browser: Browser, site: Path, scheme: str
) -> None:
    figures = 0
    for name in _pages(site):
        page, _, _ = _open(browser, (site / name).as_uri(), scheme=scheme)
        for image in page.locator("figure img[src*='#only-']").all():
            assert image.is_visible() == (image.get_attribute("src") or "").endswith(f"#only-{scheme}"), name
            figures += 1
        page.close()
    assert figures


def test_paper_is_white_in_the_dark_scheme_too(browser: Browser, site: Path) -> None:
    page, _, _ = _open(browser, (site / "index.html").as_uri(), scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("figure img[src*='#only-light']").first.is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 31, 36)"
    page.close()


def test_the_scheme_can_be_chosen(browser: Browser, site: Path) -> None:
    page, _, _ = _open(browser, (site / "index.html").as_uri(), scheme="light")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"
    for _ in range(2):
        page.locator("form[data-md-component='palette'] label:not([hidden])").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.close()


@pytest.mark.parametrize("origin", ["folder", "server"])
def test_search_finds_and_opens_a_page(browser: Browser, site: Path, address: str, origin: str) -> None:
    start = (site / "api.html").as_uri() if origin == "folder" else f"{address}/api.html"
    page, requests, complaints = _open(browser, start)
    page.locator("input[name='query']").click()
    page.locator("input[name='query']").press_sequentially("Cybenko", delay=20)
    result = page.locator(".md-search-result__link").first
    result.wait_for(timeout=10_000)
    result.click()
    page.wait_for_url(lambda url: "api.html" not in url, timeout=10_000)
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:", address))] == []
    assert complaints == []
    page.close()


def test_formulas_are_drawn(browser: Browser, small_site: Path) -> None:
    page, _, _ = _open(browser, (small_site / "index.html").as_uri())
    fraction = page.locator("math mfrac").first.bounding_box()
    assert fraction
    numerator = page.locator("math mfrac > :first-child").first.bounding_box()
    assert numerator
    assert numerator["height"] < 0.7 * fraction["height"]
    page.close()


FAINT = """() => {
    const parse = colour => colour.match(/[\\d.]+/g).map(Number)
        .map((v, i) => colour.startsWith("color(srgb") && i < 3 ? 255 * v : v);
    const over = (top, below) => [0, 1, 2].map(i => top[i] * (top[3] ?? 1) + below[i] * (1 - (top[3] ?? 1)));
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = element => {
        if (!element) return [255, 255, 255];
        const own = parse(getComputedStyle(element).backgroundColor);
        return own[3] === 0 ? ground(element.parentElement) : over(own, ground(element.parentElement));
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const hidden = !element.checkVisibility({opacityProperty: true, visibilityProperty: true});
        if (!walker.currentNode.data.trim() || hidden || element.closest("svg, script, style, .headerlink")) continue;
        const colour = parse(getComputedStyle(element).color);
        let opacity = 1;
        for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
        const below = ground(element);
        const [a, b] = [light(over([...colour.slice(0, 3), (colour[3] ?? 1) * opacity], below)), light(below)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
    return faint;
}"""
"""Lists the texts of a page whose contrast with their ground is below the 4.5 of WCAG 2.2, 1.4.3."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser: Browser, site: Path, scheme: str) -> None:
    faint = {}
    for name in _pages(site):
        page, _, _ = _open(browser, (site / name).as_uri(), scheme=scheme)
        page.emulate_media(reduced_motion="reduce")
        faint[name] = page.evaluate(FAINT)
        page.close()
    assert {name: texts for name, texts in faint.items() if texts} == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_the_reasons_of_a_derivation_are_in_sight(browser: Browser, site: Path, width: int) -> None:
    reasons, hidden = 0, {}
    for name in _pages(site):
        page, _, _ = _open(browser, (site / name).as_uri(), width=width)
        page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        edges = page.evaluate(
            "[...document.querySelectorAll('.equation-box mtd:nth-child(4) > mtext')].map(e => "
            "e.getBoundingClientRect().right - e.closest('.equation-box').getBoundingClientRect().right)"
        )
        reasons += len(edges)
        hidden[name] = [edge for edge in edges if edge > 1]
        page.close()
    assert reasons
    assert {name: edges for name, edges in hidden.items() if edges} == {}

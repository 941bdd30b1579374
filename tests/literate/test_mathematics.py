"""MathML at build time: what a browser gets, and what an author is told."""

import html.parser

import pytest

from mlpreport.errors import PageError
from mlpreport.literate.mathematics import replace_arithmatex, replace_dollars, to_mathml


class _Elements(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _read(markup: str) -> _Elements:
    parser = _Elements()
    parser.feed(markup)
    return parser


def test_a_fraction_becomes_a_fraction() -> None:
    elements = _read(to_mathml(r"\frac{a}{b}"))
    assert elements.tags == ["math", "mfrac", "mi", "mi"]
    assert elements.text == ["a", "b"]


def test_a_display_says_so() -> None:
    assert 'display="block"' in to_mathml("x", display=True)
    assert 'display="block"' not in to_mathml("x")


@pytest.mark.parametrize(
    "latex",
    [
        r"\begin{aligned} \bar{z}_1 &= \bar{z}_2 && \text{[chain rule]} \\ &= 0 \end{aligned}",
        r"\sum_{n=1}^{N} \sigma'(z_{n h}) \odot W_2^\top",
        r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}",
        r"\operatorname{diag}(p) - p p^\top \in \mathbb{R}^{C \times C}",
        r"\frac{\partial \mathcal{L}}{\partial \hat{y}} = -2 (y - \hat{y})",
        r"f(x) = \begin{cases} x & x > 0 \\ 0 & \text{otherwise} \end{cases}",
    ],
)
def test_the_formulas_of_the_report_are_understood(latex: str) -> None:
    assert _read(to_mathml(latex, display=True)).tags[0] == "math"


@pytest.mark.parametrize("latex", [r"\frac{1", r"\unheardof{x}", "a & b", "x^2^3"])
def test_a_formula_that_is_not_latex_is_named(latex: str) -> None:
    with pytest.raises(PageError) as caught:
        to_mathml(latex)
    assert f"${latex}$" in str(caught.value)


@pytest.mark.parametrize("latex", ["", "  \n"])
def test_an_empty_formula_is_refused(latex: str) -> None:
    with pytest.raises(PageError, match="empty formula"):
        to_mathml(latex)


def test_formulas_marked_by_arithmatex_are_replaced() -> None:
    page = (
        '<p>If <span class="arithmatex">\\(a&lt;b\\)</span> then</p><div class="arithmatex">\\[\nc\\tag{3}\n\\]</div>'
        '<figcaption>The loss <span class="arithmatex">\\(l\\)</span></figcaption>'
    )
    replaced = replace_arithmatex(page)
    assert "arithmatex" not in replaced
    elements = _read(replaced)
    assert elements.tags.count("math") == 3
    assert "<" in elements.text
    assert "(3)" in elements.text


def test_displays_can_be_reached_by_keyboard_and_have_names() -> None:
    page = '<div class="arithmatex">\\[a\\]</div><div class="arithmatex">\\[b \\tag{2.1}\\]</div>'
    replaced = replace_arithmatex(page)
    assert replaced.count('tabindex="0"') == 2
    assert 'aria-label="Formula 1"' in replaced
    assert 'aria-label="Equation 2.1"' in replaced


def test_html_without_formulas_is_left_alone() -> None:
    page = "<p>It costs $5, or $6 <code>$x$</code></p>"
    assert replace_arithmatex(page) == page
    assert replace_dollars(page) == page


def test_dollars_of_a_notebook_become_mathml_outside_code_only() -> None:
    page = '<p title="$t$">With $x &lt; y$ and $$z$$</p><pre>$a$<span>$b$</span></pre><p>$c$</p>'
    replaced = replace_dollars(page)
    assert _read(replaced).tags.count("math") == 3
    assert "<pre>$a$<span>$b$</span></pre>" in replaced
    assert 'title="$t$"' in replaced


def test_punctuation_stays_with_its_formula() -> None:
    marked = '(for <span class="arithmatex">\\(x\\)</span>), <span class="arithmatex">\\(y\\)</span> too'
    assert replace_arithmatex(marked) == (
        '(for <span class="formula"><math><mi>x</mi></math>),</span> <math><mi>y</mi></math> too'
    )
    assert replace_dollars("$x$.") == '<span class="formula"><math><mi>x</mi></math>.</span>'


def test_a_reason_may_be_broken_over_lines_and_other_words_keep_their_spaces():
    mathml = to_mathml(r"a = b \quad \text{[chain rule: why]} \quad \text{ or else}")
    assert "<mtext>[chain rule: why]</mtext>" in mathml
    assert "<mtext>\N{NO-BREAK SPACE}or\N{NO-BREAK SPACE}else</mtext>" in mathml

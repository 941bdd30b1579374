"""Claims: what the report says, in our words with its section, each with a predicate on Results that judges it.

Every predicate computes its deciding numbers from Results, so a verdict changes when the numbers do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlpreport.checks import checked_name
from mlpreport.errors import InvalidInputError
from mlpreport.numerals import number
from mlpreport.results import EnsembleRecord, Result
from mlpreport.studies import Study, fingerprint

MIME = "application/vnd.mlpreport.judgement+json"
"""The form in which a Judgement tells a program what was judged; mlpreport.literate.verdicts reads it."""

Outcome = Literal["reproduced", "partly", "refuted", "not testable"]


@dataclass(frozen=True)
class Verdict:
    """How a Claim fared: the outcome, the reason, the deciding numbers with the bound of each."""

    outcome: Outcome
    because: str
    numbers: tuple[tuple[str, float, str], ...] = ()


NOISELESS = Verdict("not testable", "The data have no noise, and so there is no noise floor to compare with.")


@dataclass(frozen=True)
class Claim:
    """One statement with its section in the report, the Experiments it needs, and its predicate."""

    name: str
    section: str
    statement: str
    experiments: tuple[str, ...]
    predicate: Callable[..., Verdict]


@dataclass(frozen=True)
class Judgement:
    """A Claim with its Verdict, as a page shows it."""

    claim: Claim
    verdict: Verdict

    @property
    def _anchor(self) -> str:
        return f"claim-{self.claim.name}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, dict[str, str]]:
        section, statement = self.claim.section, self.claim.statement
        about = {"anchor": self._anchor, "section": section, "statement": statement}
        return {MIME: {**about, "outcome": self.verdict.outcome}}

    def _repr_markdown_(self) -> str:
        outcome, because = self.verdict.outcome, self.verdict.because
        source = f"The report, section {self.claim.section}" if self.claim.section else "Ours"
        badge = f'<span class="verdict {outcome.replace(" ", "-")}">{outcome}</span>'
        numbers = "; ".join(
            f"{name}: {number(value, digits=4)} ({bound})" for name, value, bound in self.verdict.numbers
        )
        lines = [f"{source}: *{self.claim.statement}*", f"**Verdict.** {badge} {because}"]
        lines += [f"<small>Decided by {numbers}.</small>"] if numbers else []
        return "\n\n".join([f'<div class="judgement" id="{self._anchor}" markdown>', *lines, "</div>"])


CLAIMS: dict[str, Claim] = {}


def judge(name: str, *results: Result | Study) -> Judgement:
    """Judge the claim of that name by Results (or Studies) of the Experiments it names, in their order."""
    found = CLAIMS[checked_name("claim", name, CLAIMS)]
    given = tuple(_experiment_of(result) for result in results)
    if given != found.experiments:
        message = (
            f"claim {name!r} is judged by results of {found.experiments}, not of {given}; run() "
            "those experiments"
        )
        raise InvalidInputError(message)
    if len(set(map(_data_of, results))) > 1:
        return Judgement(found, Verdict("not testable", "The Results are of different data."))
    return Judgement(found, found.predicate(*results))


def _experiment_of(result: Result | Study) -> str:
    return result.experiment if hasattr(result, "experiment") else repr(result)


def _data_of(result: Result | Study) -> str:
    return result.data if isinstance(result, Study) else fingerprint(result.data)


def claim(
    name: str, section: str, statement: str, *experiments: str
) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Enter the decorated predicate, which takes one Result per experiment, into the ledger as a Claim."""

    def register(predicate: Callable[..., Verdict]) -> Callable[..., Verdict]:
        CLAIMS[name] = Claim(name, section, statement, experiments, predicate)
        return predicate

    return register


def network(result: Result, count: int) -> EnsembleRecord:
    """Return the record of the sigmoid network with one hidden layer of `count` units."""
    return result.record(f"1-{count}-1 sigmoid")

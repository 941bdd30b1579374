"""Claims: what the report says, in our words with its section, each with a predicate on Results that judges it.

Every predicate computes its deciding numbers from Results, so a verdict changes when the numbers do.
"""

from mlpreport.claims import activations, hypotheses, models, optima, width
from mlpreport.claims.backpropagation import Audited, Formula, audit
from mlpreport.claims.ledger import CLAIMS, Claim, Judgement, Outcome, Verdict, judge

__all__ = ["CLAIMS", "Audited", "Claim", "Formula", "Judgement", "Outcome", "Verdict", "audit", "judge"]

SECTIONS = (models, hypotheses, optima, width, activations)
"""The modules that enter claims into the ledger, in the order of the report."""

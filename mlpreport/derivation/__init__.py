"""The calculus: a forward program is differentiated into the derivation a reader reads and the code that runs."""

from mlpreport.derivation.backward import Derivation, Step
from mlpreport.derivation.codegen import ValueAndGrad, value_and_grad
from mlpreport.derivation.declarations import read_program, trace
from mlpreport.derivation.edges import Line
from mlpreport.derivation.elementwise import (
    Elementwise,
    elementwise,
    elementwise_names,
    register_elementwise,
    scalar_functions,
    scalar_source,
)
from mlpreport.derivation.explain import Counterexample, Explanation, explain
from mlpreport.derivation.program import Program
from mlpreport.derivation.proof import Check, Proof, prove

__all__ = [
    "Check",
    "Counterexample",
    "Derivation",
    "Elementwise",
    "Explanation",
    "Line",
    "Program",
    "Proof",
    "Step",
    "ValueAndGrad",
    "elementwise",
    "elementwise_names",
    "explain",
    "prove",
    "read_program",
    "register_elementwise",
    "scalar_functions",
    "scalar_source",
    "trace",
    "value_and_grad",
]

"""The calculus: a forward program is differentiated into the derivation a reader reads and the code that runs."""

from mlpreport.derivation.elementwise import (
    Elementwise,
    elementwise,
    elementwise_names,
    register_elementwise,
    scalar_functions,
    scalar_source,
)

__all__ = [
    "Elementwise",
    "elementwise",
    "elementwise_names",
    "register_elementwise",
    "scalar_functions",
    "scalar_source",
]

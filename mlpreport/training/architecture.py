"""The shape of a network: layer sizes and activation; nothing learnt."""

from dataclasses import dataclass

from mlpreport.checks import checked_kind, checked_sizes
from mlpreport.derivation.elementwise import elementwise


@dataclass(frozen=True)
class Architecture:
    """A multilayer perceptron with the activation after every hidden layer and a linear output.

    Parameters
    ----------
    sizes
        Layer sizes from input to output, such as (1, 2, 1); two sizes make the linear model.
    activation
        Name of a registered elementwise function.

    Raises
    ------
    InvalidInputError
        If there are fewer than two sizes, a size is not a whole number of at least 1, or the activation is unknown.
    """

    sizes: tuple[int, ...]
    activation: str

    def __post_init__(self) -> None:
        """Store the sizes as a tuple of int, whatever sequence they came in."""
        object.__setattr__(self, "sizes", checked_sizes(self.sizes))
        # As text, so that what cannot be looked up, such as a list, is as unknown as a wrong name.
        elementwise(str(self.activation))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Numbers of units of the hidden layers."""
        return self.sizes[1:-1]

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of W1 (in, out), b1 (out,), W2, …, in the order in which parameters are stored."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(zip(self.sizes, self.sizes[1:], strict=False), start=1):
            shapes[f"W{layer}"] = (fan_in, fan_out)
            shapes[f"b{layer}"] = (fan_out,)
        return shapes

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return sum(
            (fan_in + 1) * fan_out for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False)
        )

    @property
    def label(self) -> str:
        """A short name, such as '1-2-1 sigmoid'."""
        name = "-".join(map(str, self.sizes))
        return f"{name} {self.activation}" if self.hidden else f"{name} linear"


def checked_architecture(value: object) -> None:
    """Raise unless the value is an Architecture."""
    checked_kind("architecture", value, Architecture, remedy="such as Architecture((1, 2, 1), 'sigmoid')")

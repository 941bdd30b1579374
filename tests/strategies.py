"""Hypothesis strategies that several test modules share."""

from hypothesis import strategies as st

ELEMENTWISE = ("sigmoid", "tanh", "softplus", "gelu", "exp")


@st.composite
def programs(draw):
    """Forward programs as (source, shapes): a few equations on (N, D) arrays, one weight, then a scalar loss."""
    nodes, lines = ["x", "y"], []
    for n in range(draw(st.integers(1, 4))):
        a, b = (draw(st.sampled_from(nodes)) for _ in range(2))
        expression = draw(
            st.sampled_from(
                [
                    f"{draw(st.sampled_from(ELEMENTWISE))}(0.5*{a})",
                    f"{a} * {b} - 0.3*{b}",
                    f"({a} + r) @ W",
                    f"{a} / (1 + {b}**2) + c",
                    f"softmax({a}) @ W.T - mean({b}, axis=0)",
                    f"{a} * sum({b}, axis=1)",
                    f"softmax({a} @ {b}.T / D**0.5) @ {a}",
                ]
            )
        )
        lines.append(f"v{n} = {expression}")
        nodes.append(f"v{n}")
    loss = draw(
        st.sampled_from(["mean(({0} - {1})**2)", "sum({0} * tanh({1}))/N", "log(1 + sum({0}**2))*0.5"])
    )
    lines.append("l = " + loss.format(nodes[-1], draw(st.sampled_from(nodes))))
    shapes = {"x": ("N", "D"), "y": ("N", "D"), "W": ("D", "D"), "r": (1, "D"), "c": ("N", 1)}
    return "\n".join(lines), shapes

"""Stand-in until mlpreport.derivation.elementwise.scalar_source is merged."""


def scalar_source(name: str) -> str:  # noqa: D103
    return {
        "sigmoid": "def value(u):\n    return 1 / (1 + math.exp(-u))\n\ndef slope(u, h):\n    return h * (1 - h)\n",
        "tanh": "def value(u):\n    return math.tanh(u)\n\ndef slope(u, h):\n    return 1 - h * h\n",
        "identity": "def value(u):\n    return u\n\ndef slope(u, h):\n    return 1.0\n",
        "relu": "def value(u):\n    return 0.0 if u <= 0 else u\n\ndef slope(u, h):\n    return 0.0 if u <= 0 else 1.0\n",
        "softplus": "def value(u):\n    return max(u, 0.0) + math.log1p(math.exp(-abs(u)))\n\ndef slope(u, h):\n    return 1 / (1 + math.exp(-u))\n",
        "gelu": "def value(u):\n    return u * (1 + math.erf(u / math.sqrt(2))) / 2\n\ndef slope(u, h):\n    return (1 + math.erf(u / math.sqrt(2))) / 2 + u * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)\n",
    }[name]

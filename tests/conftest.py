"""The shapes in signatures are checked while the tests run; processes keep to one thread each."""

import os

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from shapes import check_signatures_of  # noqa: E402 - NumPy's thread pools read the above when they are imported

check_signatures_of("mlpreport")

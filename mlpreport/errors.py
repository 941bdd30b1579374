"""Every error the package raises on purpose: one base class, each with the exit status of the command line.

A message names the value, the rule it breaks and the remedy.
"""


class MlpReportError(Exception):
    """Base of every error that mlpreport raises on purpose; `exit_status` is what the command line returns."""

    exit_status = 1


class InvalidInputError(MlpReportError, ValueError):
    """A value breaks a rule that its caller can keep (unknown name, size, method, seed, ...)."""

    exit_status = 2


class ShapeError(InvalidInputError):
    """Array shapes or matrix sizes do not fit together; the message names both."""


class ProgramError(InvalidInputError):
    """A forward program is outside the language; the message marks the source line."""


class PageError(MlpReportError):
    """A page of the site cannot be built; the message names page and line."""


class CertificateError(MlpReportError):
    """A certificate or an atlas of optima is stale or was altered; the message names the number."""


class EnvironmentProblemError(MlpReportError):
    """The machine lacks something (a folder that can be written, a program, a library)."""

    exit_status = 3

"""Outputs of a cell as a notebook has them (nbformat 4): streams, displays, results, errors."""

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

Output = dict[str, Any]
"""One output in the form of nbformat 4."""


class Recorder:
    """Collects the outputs of the current cell as a notebook's client does (nbclient is the oracle in the tests)."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.exception: BaseException | None = None
        self._shown: dict[str, list[Output]] = {}
        self._clear_next = False

    def start_cell(self) -> None:
        """Begin a new list of outputs."""
        self.outputs, self.exception, self._clear_next = [], None, False

    def add(self, output: Output) -> None:
        """Append an output; text that goes on in the same stream is joined."""
        if self._clear_next:
            self.clear()
        last = self.outputs[-1] if self.outputs else {}
        if output["output_type"] == "stream" and output["name"] == last.get("name"):
            last["text"] += output["text"]
        else:
            self.outputs.append(output)

    def write(self, stream: str, text: str) -> None:
        """Take text written to `stream`, "stdout" or "stderr"."""
        if text:
            self.add({"output_type": "stream", "name": stream, "text": text})

    def fail(self, kind: type[BaseException], error: BaseException, traceback: list[str]) -> None:
        """Take an exception that IPython shows."""
        self.exception = error
        names = {"ename": kind.__name__, "evalue": message(error)}
        self.add({"output_type": "error", **names, "traceback": traceback})

    def publish(
        self, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None, **how: Any
    ) -> None:  # IPython's signature
        """Take what `display` shows; with `update`, replace what was shown under the same display id."""
        output = bundle("display_data", data, metadata)
        name = (how.get("transient") or {}).get("display_id", "")
        if how.get("update"):
            for shown in self._shown.get(name, ()):
                shown.update(data=output["data"], metadata=output["metadata"])
            return
        if name:
            self._shown.setdefault(name, []).append(output)
        self.add(output)

    def clear(self, wait: bool = False) -> None:
        """Remove the outputs of the cell, now or when the next one comes."""
        self._clear_next = wait
        if not wait:
            self.outputs.clear()


class Stream(io.TextIOBase):
    """A text stream that hands what is written to a function; `descriptor` is the file behind it."""

    encoding = "utf-8"

    def __init__(self, take: Callable[[str], None], descriptor: int) -> None:
        super().__init__()
        self._take, self._descriptor = take, descriptor

    def write(self, text: str) -> int:
        """Hand on `text`."""
        self._take(text)
        return len(text)

    def writable(self) -> bool:
        """Say that one can write."""
        return True

    def fileno(self) -> int:
        """Give the descriptor that subprocesses and C code write to."""
        return self._descriptor


def bundle(kind: str, data: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> Output:
    """Make a display output whose data JSON can hold: bytes, such as a PNG, in base64."""
    return {"output_type": kind, "data": {mime: _text(value) for mime, value in data.items()}} | {
        "metadata": dict(metadata or {})
    }


def message(error: BaseException) -> str:
    """Give the message of an exception, even of one that cannot tell it."""
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - it comes from code of the page
        return f"(no message: its __str__ raised {type(second).__name__})"


def joined(text: str | list[str]) -> str:
    """Join the lines of a text of a notebook, which may be a list."""
    return text if isinstance(text, str) else "".join(text)


def _text(value: object) -> object:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value

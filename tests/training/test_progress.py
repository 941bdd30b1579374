"""Long fits show how far they are: a bar on a terminal, plain lines elsewhere."""

import io

from mlpreport.training.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_with_the_number_of_restarts():
    stream = Terminal()
    with progress("1-2-1 sigmoid", 4, stream=stream, delay=0) as advance:
        advance(3)
        advance(1)
    assert "1-2-1 sigmoid" in stream.getvalue()
    assert "/4" in stream.getvalue()


def test_elsewhere_plain_lines_tell_label_and_count():
    stream = io.StringIO()
    with progress("1-2-1 sigmoid", 4, stream=stream, delay=0) as advance:
        advance(3)
    assert stream.getvalue().startswith("1-2-1 sigmoid: 3 of 4 restarts")
    assert stream.getvalue().endswith("\n")


def test_lines_are_occasional():
    stream = io.StringIO()
    with progress("fit", 100, stream=stream, delay=0) as advance:
        for _ in range(100):
            advance(1)
    assert stream.getvalue().count("\n") == 1


def test_short_fits_leave_no_trace_on_either():
    for stream in (io.StringIO(), Terminal()):
        with progress("fit", 4, stream=stream) as advance:
            advance(4)
        assert stream.getvalue().strip() == ""

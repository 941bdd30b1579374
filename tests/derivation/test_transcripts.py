"""What readers read is, to the letter, what was proof-read: derivations, their LaTeX, and the code made of them."""

import pytest
from derivation.transcripts import FOLDER, TRANSCRIPTS, transcript


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_is_as_it_was_proof_read(name):
    assert transcript(name) == (FOLDER / name).read_text("utf-8")

"""What is streamed is what is said: character for character, however tokens cut it up."""

import pytest
from hypothesis import given, settings

from tests.acceptance.conftest import Tell
from tests.core.text.streaming import check_streaming, stopped

OUTPUTS = 2000


@pytest.mark.acceptance
def test_pieces_make_the_whole_of_random_korean_emoji_and_combining_marks(tell: Tell) -> None:
    seen = {"outputs": 0, "tokens": 0, "with stops": 0}

    @given(case=stopped())
    @settings(max_examples=OUTPUTS, deadline=None, derandomize=True, database=None)
    def pieces_make_the_whole(case) -> None:
        tokenizer, ids, stop = case
        check_streaming(tokenizer, ids, stop)
        seen["outputs"] += 1
        seen["tokens"] += len(ids)
        seen["with stops"] += bool(stop)

    pieces_make_the_whole()
    tell(f"streamed and whole the same: {seen}")
    assert seen["outputs"] >= OUTPUTS

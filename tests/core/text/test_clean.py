import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from core.text.clean import normalise


def test_conjoining_jamo_become_syllables() -> None:
    assert normalise("\u1112\u1161\u11ab") == "한"


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert normalise("a\ud800b") == "a\ufffdb"


def test_lower_case_comes_before_composition() -> None:
    assert normalise("E\u0301", lower_case=True) == "é"


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(text) == unicodedata.normalize("NFC", text)
    assert normalise(normalise(text, lower_case=True)) == normalise(text, lower_case=True)

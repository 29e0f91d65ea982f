"""Nouns that a text teaches."""

from core.data.korean.nouns import Cut, Nouns

TEXT = "객체를 값의 객체는 값이 값을 값에 평가를 평가의 추가된 추가를 추가의 하는 하고 유효한지를"


def test_a_noun_is_what_takes_particles_of_several_kinds() -> None:
    nouns = Nouns.of(TEXT.split())
    assert all(noun in nouns for noun in ("객체", "값", "평가", "추가"))
    assert not any(word in nouns for word in ("하", "평", "추", "유효한지", ""))


def test_a_word_is_cut_where_its_noun_ends() -> None:
    nouns = Nouns.of(TEXT.split())
    assert nouns.cut("객체로") == Cut("객체", "로")
    assert nouns.cut("객체들이") == Cut("객체들", "이")
    assert nouns.cut("값에서") == Cut("값", "에서")
    assert nouns.cut("None을") == Cut("None", "을")


def test_what_is_a_noun_as_it_is_or_none_at_all_is_not_cut() -> None:
    nouns = Nouns.of(TEXT.split())
    assert [nouns.cut(word) for word in ("평가", "추가", "하는", "객체을", "")] == [None] * 5


def test_a_cut_knows_what_its_particle_is_for() -> None:
    assert [Cut("값", particle).role for particle in ("은", "을", "에서")] == [
        "topic",
        "object",
        "in",
    ]


def test_nothing_teaches_nothing() -> None:
    assert "객체" not in Nouns.of([])

from hypothesis import given
from hypothesis import strategies as st

from core.metrics.exact import accuracy, exact_by_length, exact_match, exact_signature

rows = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.integers(1, 4)))


def test_spaces_around_a_text_do_not_count() -> None:
    assert exact_match(["62 ", "a b"], ["62", "a  b"]) == 0.5
    assert "stripped" in exact_signature()


def test_accuracy_is_the_share_of_right_places() -> None:
    assert accuracy([1, 2, 3, 4], [1, 2, 0, 4]) == 0.75
    assert accuracy([], []) == 0.0


@given(rows=rows)
def test_lengths_weighed_by_their_examples_give_the_whole(rows: list[tuple[str, str, int]]) -> None:
    outputs, targets, lengths = ([row[place] for row in rows] for place in range(3))

    found = exact_by_length(outputs, targets, lengths)

    right = sum(share * lengths.count(length) for length, share in found.items())
    assert [*found] == sorted(set(lengths))
    assert round(right) == sum(one == two for one, two, _ in rows)

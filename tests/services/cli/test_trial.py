from services.cli.client import Client
from services.cli.trial import UNSEEN, Marks, choose, examine, is_korean, lessons
from tests.services.cli.conftest import Server


def example(source: str, target: str) -> dict[str, object]:
    return {"content": {"source": source, "target": target}}


TAUGHT = lessons(
    [
        *(example(f"question {number}", f"{number} noitseuq") for number in range(10, 40)),
        *(example(f"질문 {number}", "no reply turned round") for number in range(10, 20)),
    ]
)


def test_every_reply_that_was_taught_counts() -> None:
    found = lessons([example("hi", "hello"), example("hi", "hey "), example("bye", "bye")])
    assert found == {"hi": {"hello", "hey"}, "bye": {"bye"}}


def test_marks_are_the_share_of_replies_that_are_word_for_word(server: Server) -> None:
    taught = {source: {source[::-1]} for source in TAUGHT}
    taught["wrong"] = {"something else"}
    with Client(server.url) as client:
        marks = examine(client, "bot", taught, seed=1)
    assert marks.asked == 41
    assert marks.exact == 40 / 41
    assert len(server.inbox.asked) == 41


def test_enough_is_nine_of_ten_word_for_word_or_much_of_each() -> None:
    assert Marks(50, 0.9, 10.0).good_enough
    assert Marks(50, 0.1, 80.1).good_enough
    assert not Marks(50, 0.89, 80.0).good_enough
    assert "89% of 50" in Marks(50, 0.89, 80.0).verdict()


def test_eight_questions_half_taught_half_korean() -> None:
    chosen = choose(TAUGHT, known=TAUGHT, seed=1)
    assert len(chosen) == 8
    for seen in (True, False):
        half = [question for question, taught in chosen if taught == seen]
        assert sum(map(is_korean, half)) == 2
        assert all((question in TAUGHT) == seen for question in half)


def test_a_question_that_the_corpus_has_is_not_called_new() -> None:
    known = {**TAUGHT, UNSEEN[0].upper() + "!!": {"yes"}}
    chosen = choose(TAUGHT, known=known, seed=1)
    assert UNSEEN[0] not in [question for question, _ in chosen]
    assert len(chosen) == 8

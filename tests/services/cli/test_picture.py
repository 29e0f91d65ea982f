from io import StringIO
from typing import Any

from rich.console import Console

from services.cli.following import Event
from services.cli.picture import Picture


def heard(*events: Event) -> Picture:
    picture = Picture("bot")
    for event in events:
        picture.hear(event)
    return picture


def drawn(picture: Picture) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(picture)
    return console.export_text()


def progress(step: int, elapsed_s: float, **more: Any) -> Event:
    told = {"stage": "train", "step": step, "total_steps": 100, "elapsed_s": elapsed_s, **more}
    return Event("progress", told)


def measured(step: int, **data: float) -> Event:
    return Event("metrics", dict(data), id=step, step=step)


def test_everything_that_is_known_is_drawn() -> None:
    picture = heard(
        Event("state", {"status": "running", "attempt": 1, "worker": "laptop-4711"}),
        Event("log", {"message": "train: 2210 exchanges"}),
        measured(20, loss=5.0),
        measured(40, loss=2.0),
        measured(40, valid_loss=2.5),
        progress(45, 9.0, loss=1.9, learning_rate=0.001, tokens_per_s=4321.0, epoch=2),
    )
    text = drawn(picture)
    for words in (
        "bot  running  train",
        "step 45/100  epoch 2  loss 1.900  valid 2.500  lr 1.00e-03  4,321 tokens/s  9 s",
        "train █▁ 5.000 → 2.000",
        "valid ▁  2.500 → 2.500",
        "running: attempt 1, laptop-4711",
        "train: 2210 exchanges",
    ):
        assert words in text


def test_scores_on_the_way_have_a_curve_of_their_own() -> None:
    def validated(step: int, score: float) -> Event:
        data = {"valid_loss": 1.0, "scores": {"exact_match": score}}
        return Event("metrics", data, id=step, step=step)

    picture = heard(validated(40, 0.25), validated(80, 0.5), validated(60, 0.75))
    assert "exact match ▁█ 25.00 % → 75.00 %" in drawn(picture)
    assert "exact match 75.00 %" in picture.figures()


def test_nothing_known_is_drawn_too() -> None:
    assert "bot  queued" in drawn(heard())


def test_what_is_left_follows_from_the_pace() -> None:
    picture = heard(progress(10, 2.0), progress(30, 6.0))
    assert picture.left_s() == 70 * 0.2
    assert "about 14 s left" in picture.figures()
    assert heard(progress(10, 2.0)).left_s() is None


def test_a_run_that_is_taken_up_again_keeps_no_pace_and_no_points_of_before() -> None:
    picture = heard(
        measured(20, loss=5.0),
        measured(40, loss=4.0),
        measured(60, loss=3.0),
        progress(60, 6.0),
        progress(62, 6.2),
        measured(40, loss=4.5),
        progress(41, 4.1),
    )
    assert picture.train == {20: 5.0, 40: 4.5}
    assert picture.left_s() is None


def test_only_the_first_line_of_a_long_word_is_drawn() -> None:
    picture = heard(Event("log", {"message": "attempt 1 died\nTraceback\n  File"}))
    assert "attempt 1 died" in drawn(picture)
    assert "Traceback" not in drawn(picture)


def test_loss_that_is_no_number_is_left_out() -> None:
    picture = heard(progress(1, 1.0, loss=None))
    assert picture.figures() == "step 1/100  1 s"

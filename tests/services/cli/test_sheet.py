from pathlib import Path

from services.cli.sheet import write_sheet

PAIR = {
    "title": "A & B",
    "context": "Seoul <b>lies</b> in Korea.",
    "answer": {"start": 21, "end": 26},
    "question": "Where is <Seoul>?",
    "found": {"start": 18, "end": 26},
    "proposal_log_prob": -1.0,
    "question_score": -0.5,
    "found_log_prob": -2.25,
}


def page_of(pair, folder: Path) -> str:
    path = write_sheet("qgen-note-seed1.json", [pair], folder)
    assert path == folder / "qgen-note-seed1.html"
    return path.read_text(encoding="utf-8")


def test_the_answer_is_marked_and_what_was_found_elsewhere_underlined(tmp_path: Path) -> None:
    page = page_of(PAIR, tmp_path)

    assert "&lt;b&gt;lies&lt;/b&gt; <u>in </u><mark><u>Korea</u></mark>." in page
    assert "1. Where is &lt;Seoul&gt;?" in page
    assert "A &amp; B" in page
    assert "-2.25" in page


def test_what_was_found_again_is_only_marked(tmp_path: Path) -> None:
    page = page_of({**PAIR, "found": PAIR["answer"]}, tmp_path)

    assert "in <mark>Korea</mark>." in page
    assert "<u>" not in page

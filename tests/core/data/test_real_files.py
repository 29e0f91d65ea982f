"""The data that lies beside the project, where it does."""

import pytest

from core.data.readers import format_of, read
from core.settings import Settings

DATA = Settings().data


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("chat_ko_songys/ChatbotData.csv", "pairs", 11_823),
        ("tatoeba_en_ko/kor.txt", "pairs", 3_798),
        ("tatoeba_en_fr/fra.txt", "pairs", 167_130),
        ("python_docs_en_ko/train.tsv", "pairs", 28_609),
        ("python_docs_en_ko/valid.tsv", "pairs", 1_150),
        ("summ_ko_sae4k/sae4k_v1.txt", "pairs", 30_837),
        ("chat_en_topical/valid_freq.jsonl", "dialogues", 539),
        ("chat_en_topical/valid_rare.jsonl", "dialogues", 539),
        ("chat_en_topical/test_freq.jsonl", "dialogues", 539),
        ("chat_en_topical/test_rare.jsonl", "dialogues", 539),
    ],
)
def test_a_real_file_is_read_without_a_bad_line(name: str, kind: str, count: int) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open("rb") as file:
        lines = [*read(file, format=format_of(name), kind=kind)]

    assert [line for line in lines if line.problem] == []
    assert len(lines) == count

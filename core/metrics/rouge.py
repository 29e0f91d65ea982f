"""ROUGE, and what one scores by taking the beginning of the source for its summary."""

import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version

_KEYS = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


class Words:
    """Cuts text into words: runs of letters, marks and digits of any script, in lower case.

    The scorer's own tokenizer keeps a-z and 0-9 alone: of Korean nothing would be left.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the words of ``text``."""
        plain = unicodedata.normalize("NFC", text).lower()
        return "".join(char if _is_word(char) else " " for char in plain).split()


def rouge_scores(outputs: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Return ROUGE-1, -2 and -L: the mean F1 of all outputs, 0 to 100, words not stemmed.

    Source: Lin 2004, as rouge-score computes it; ``rouge_signature`` says how exactly.
    """
    from rouge_score.rouge_scorer import RougeScorer  # slow to import, and few trainings need it

    scorer = RougeScorer([*_KEYS], tokenizer=Words())
    sums = dict.fromkeys(_KEYS.values(), 0.0)
    for output, target in zip(outputs, targets, strict=True):
        for name, score in scorer.score(target, output).items():
            sums[_KEYS[name]] += float(score.fmeasure)
    return {name: 100 * total / max(len(outputs), 1) for name, total in sums.items()}


def rouge_signature() -> str:
    """Return how ``rouge_scores`` computes, in the manner of sacrebleu's signatures."""
    return (
        "rouge-1/2/L|refs:1|case:lower|tok:unicode-letters-marks-digits|stem:no|"
        f"score:mean-f1|version:rouge-score-{version('rouge-score')}"
    )


def lead_scores(sources: Sequence[str], targets: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the scores of baselines that only copy: what a summary has to beat.

    ``lead_sentence`` is the first sentence of each source, ``lead_words`` its first words, as
    many as targets have on average, ``whole`` all of it.
    """
    words = sum(len(target.split()) for target in targets) / max(len(targets), 1)
    leads = {
        "lead_sentence": [lead_sentences(source, 1) for source in sources],
        "lead_words": [lead_words(source, max(round(words), 1)) for source in sources],
        "whole": list(sources),
    }
    return {name: rouge_scores(lead, targets) for name, lead in leads.items()}


def lead_sentences(text: str, count: int) -> str:
    """Return the first ``count`` sentences: up to a full stop and its like before a space."""
    return " ".join(_SENTENCE_END.split(text.strip())[:count])


def lead_words(text: str, count: int) -> str:
    """Return the first ``count`` words, as spaces part them."""
    return " ".join(text.split()[:count])


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"

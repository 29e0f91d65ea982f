"""Comparing outputs with what was wanted, and with each other."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from core.metrics.exact import exact_match, exact_signature


def corpus_scores(outputs: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Return BLEU and chrF (0 to 100) and the share of exact matches (0 to 1).

    Source: sacrebleu (Post 2018) with its own defaults; BLEU is smoothed, 13a-tokenised.
    """
    references = [list(targets)]
    return {
        "bleu": float(BLEU(effective_order=False).corpus_score(outputs, references).score),
        "chrf": float(CHRF().corpus_score(outputs, references).score),
        "exact_match": exact_match(outputs, targets),
    }


def bleu_orders(outputs: Sequence[str], targets: Sequence[str]) -> dict[str, float]:
    """Return BLEU-1 to BLEU-4 (0 to 100): n-grams up to that length; the last is ``bleu``."""
    return {
        f"bleu_{order}": float(
            BLEU(effective_order=False, max_ngram_order=order)
            .corpus_score(outputs, [list(targets)])
            .score
        )
        for order in range(1, 5)
    }


def variety(outputs: Sequence[str]) -> dict[str, float]:
    """Return distinct-1, distinct-2 (Li et al. 2016) and the share of the ten commonest outputs."""
    words = [output.split() for output in outputs]
    ones = [word for line in words for word in line]
    twos = [pair for line in words for pair in pairwise(line)]
    commonest = sum(count for _, count in Counter(outputs).most_common(10))
    return {
        "distinct_1": len(set(ones)) / max(len(ones), 1),
        "distinct_2": len(set(twos)) / max(len(twos), 1),
        "top_10_share": commonest / max(len(outputs), 1),
    }


def signatures(outputs: Sequence[str], targets: Sequence[str]) -> dict[str, str]:
    """Return how ``corpus_scores`` computes: sacrebleu's version, tokenisation, smoothing."""
    bleu, chrf = BLEU(effective_order=False), CHRF()
    bleu.corpus_score(outputs, [list(targets)])
    chrf.corpus_score(outputs, [list(targets)])
    return {
        "bleu": str(bleu.get_signature()),
        "chrf": str(chrf.get_signature()),
        "exact_match": exact_signature(),
    }

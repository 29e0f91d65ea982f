"""How surprised a model is: per token, which only its own tokenizer can compare, and per word."""

import math
from collections.abc import Iterable

_LARGEST_LOG = 700.0  # beyond it a float is infinite, and JSON has no such number


def perplexities(nats: float, *, tokens: int, words: int) -> dict[str, float]:
    """Return the perplexity per token and per word of texts that cost ``nats`` in all.

    ``nats`` is the summed negative log-likelihood of all ``tokens`` that were predicted, ends of
    texts among them; ``words`` comes from ``count_words`` over the same texts. Models whose
    tokens differ can be compared by the word alone.
    """
    return {
        "token_perplexity": _perplexity(nats, tokens),
        "word_perplexity": _perplexity(nats, words),
    }


def count_words(texts: Iterable[str], *, ends: bool) -> int:
    """Return how many words spaces part in ``texts``; an end counts as one where it is predicted.

    So does ``<eos>`` in the perplexities that are published for the Penn Treebank.
    """
    return sum(len(text.split()) + ends for text in texts)


def perplexity_signature(*, ends: bool) -> str:
    """Return what ``perplexities`` divides by, in the manner of sacrebleu's signatures."""
    return f"perplexity|log:e|word:whitespace|ends:{'counted' if ends else 'none'}"


def _perplexity(nats: float, count: int) -> float:
    return math.exp(min(nats / max(count, 1), _LARGEST_LOG))

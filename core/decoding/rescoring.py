"""N-best lists ranked anew: what would be said to anybody counts less.

Source: Li et al. 2016, "A Diversity-Promoting Objective Function", eq. 9.
"""

from collections.abc import Sequence
from dataclasses import replace

from core.decoding.requests import Request
from core.decoding.step import Hypothesis, Wish, normalised
from core.specs import DecodeSpec
from core.text.tokenizer import UNK

_ANYBODY = (UNK,)  # a source that the model knows nothing of
_AT_ONCE = -(1 << 31)  # who has waited once does not wait again
_JUST_SCORE = DecodeSpec(beam_size=1)


def question(key: int, request: Request, beam: Sequence[Hypothesis]) -> Request:
    """Return the request that asks how likely each of ``beam`` is to be said to anybody.

    Words that a source alone brings along are unknown to another one, and count as such.
    """
    end = () if request.wish.end is None else (request.wish.end,)
    scripts = tuple(one.tokens + end if _said_end(one) else one.tokens for one in beam)
    wish = Wish(spec=_JUST_SCORE, first=request.wish.first, end=request.wish.end, scripts=scripts)
    return Request(key=key, source=_ANYBODY, wish=wish, priority=_AT_ONCE)


def without_the_generic(
    beam: Sequence[Hypothesis], anyway: Sequence[Hypothesis], spec: DecodeSpec
) -> list[Hypothesis]:
    """Rank ``beam`` anew, of which ``anyway`` says how likely each is to be said to anybody.

    The score of an answer T to S becomes log p(T | S) - ``anti_generic`` * log p(T), over length
    to the power of its penalty.
    """
    scored = []
    for one, other in zip(beam, anyway, strict=True):
        special = one.log_prob - spec.anti_generic * other.log_prob
        length = len(one.token_log_probs)
        scored.append(replace(one, score=normalised(special, length, spec.length_penalty)))
    return sorted(scored, key=lambda one: -one.score)


def _said_end(one: Hypothesis) -> bool:
    """Whether its end was said, not that of a stop or of its length."""
    return len(one.token_log_probs) > len(one.tokens)

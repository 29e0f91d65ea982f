"""What lines may not say, or say at a price: ids, repeats, ends that come early, texts.

Sizes: N lines, V vocabulary.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor

from core.decoding.step import NEVER, Wish

Spell = Callable[[int], bytes]


class Bans:
    """The ids that some lines never say; made anew only when the lines change."""

    def __init__(self, wishes: Sequence[Wish]) -> None:
        """Take the wish of each line, in their order."""
        kinds = {wish.never: frozenset(wish.never) for wish in wishes}
        shared = frozenset.intersection(*kinds.values()) if kinds else frozenset[int]()
        own = {never: sorted(ids - shared) for never, ids in kinds.items()}
        pairs = [(line, id_) for line, wish in enumerate(wishes) for id_ in own[wish.never]]
        self._highest = max((max(ids) for ids in kinds.values() if ids), default=-1)
        self._shared = torch.tensor(sorted(shared), dtype=torch.int64)  # of every line
        self._lines = torch.tensor([line for line, _ in pairs], dtype=torch.int64)
        self._ids = torch.tensor([id_ for _, id_ in pairs], dtype=torch.int64)

    @property
    def shared(self) -> Tensor | None:
        """The ids, where they are the same for all lines."""
        return None if len(self._ids) else self._shared

    def apply(self, logits: Tensor) -> None:
        """Make them impossible, in ``logits`` (N, V) itself; ids beyond V are so already."""
        if self._shared.device != logits.device:
            self._shared = self._shared.to(logits.device)
            self._lines, self._ids = self._lines.to(logits.device), self._ids.to(logits.device)
        shared, lines, ids = self._shared, self._lines, self._ids
        if self._highest >= logits.size(1):
            shared = shared[shared < logits.size(1)]
            lines, ids = lines[ids < logits.size(1)], ids[ids < logits.size(1)]
        if len(shared):
            logits.index_fill_(1, shared, NEVER)
        if len(ids):
            logits[lines, ids] = NEVER


def is_shaped(wish: Wish) -> bool:
    """Whether what may be said, or its price, depends on what was said before."""
    spec = wish.spec
    waits = spec.min_tokens > 0 and wish.end is not None
    return waits or spec.no_repeat_ngram > 0 or spec.repetition_penalty > 1


def shape(
    logits: Tensor,
    log_z: Tensor,
    lines: Sequence[int],
    wishes: Sequence[Wish],
    words: Sequence[Sequence[int]],
) -> None:
    """Change ``lines`` of ``logits`` (N, V) by what they have said, in place; others stay.

    ``wishes`` and ``words``, what was said so far with its prefix, have an entry for each of the
    N. ``log_z`` (N,) is what makes the logits of each line log probabilities: what was said before
    has log p times the penalty. An end that comes early and the last word of an n-gram that was
    said become impossible.
    """
    priced = [line for line in lines if wishes[line].spec.repetition_penalty > 1 and words[line]]
    if priced:
        places = _places(priced, [set(words[line]) for line in priced], like=logits)
        penalties = logits.new_ones(len(logits))
        penalties[priced] = logits.new_tensor(
            [wishes[line].spec.repetition_penalty for line in priced]
        )
        before, z = logits[places], log_z.to(logits)[places[0]]
        after = (before - z) * penalties[places[0]] + z
        logits[places] = after.where(before > NEVER, NEVER)
    barred = [list(_barred(wishes[line], words[line])) for line in lines]
    if any(barred):
        logits[_places(lines, barred, like=logits)] = NEVER


def completes(
    banned: Sequence[bytes], spell: Spell, words: Sequence[int], next_id: int, lead: bytes = b""
) -> bool:
    """Whether saying ``next_id`` after ``words`` completes one of the texts ``banned``.

    ``lead`` is what a text loses at its start when it is spelled out.
    """
    return bool(banned) and _contains(banned, spell, (*words, next_id), lead)


def stops(wish: Wish, words: Sequence[int]) -> bool:
    """Whether the last of ``words`` completes a text that ends the reply."""
    return bool(wish.stop and words) and _contains(wish.stop, wish.spell, words, wish.lead)


def _places(
    lines: Sequence[int], ids: Sequence[Collection[int]], *, like: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the line and the id of each of ``ids``, which are given for each of ``lines``."""
    every = torch.tensor(list(chain.from_iterable(ids)), dtype=torch.int64)
    repeats = torch.tensor([len(some) for some in ids], dtype=torch.int64)
    owners = torch.tensor(lines, dtype=torch.int64).repeat_interleave(repeats)
    return owners.to(like.device), every.to(like.device)


def _barred(wish: Wish, words: Sequence[int]) -> Iterator[int]:
    """Yield what cannot follow ``words``."""
    if wish.end is not None and len(words) < wish.spec.min_tokens:
        yield wish.end
    if wish.spec.no_repeat_ngram:
        yield from _completing(words, wish.spec.no_repeat_ngram)


def _completing(words: Sequence[int], size: int) -> set[int]:
    """Return what would make the last ``size`` words a sequence that was said already."""
    if size == 1:
        return set(words)
    if len(words) < size:
        return set()
    last, begun = words[-1], list(words[1 - size :])
    return {
        words[place + size - 1]
        for place, word in enumerate(words[size - 2 : -1])  # the last but one of each n-gram
        if word == last and list(words[place : place + size - 1]) == begun
    }


def _contains(phrases: Sequence[bytes], spell: Spell, words: Sequence[int], lead: bytes) -> bool:
    """Whether one of ``phrases`` ends in the last of ``words``."""
    text = spell(words[-1])
    new, longest = len(text), max(map(len, phrases))
    rest = len(words) - 1
    while rest and len(text) < new + longest - 1 + len(lead):
        rest -= 1
        text = spell(words[rest]) + text
    if not rest:
        text = text.removeprefix(lead)
        new = min(new, len(text))
    return any(phrase in text[max(len(text) - new - len(phrase) + 1, 0) :] for phrase in phrases)

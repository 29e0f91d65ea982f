"""Texts that are hard to show piece by piece, and what must hold of their pieces."""

import functools
from collections.abc import Sequence

from hypothesis import strategies as st

from core.decoding.constraints import stops
from core.decoding.step import Wish
from core.specs import DecodeSpec, TokenizerSpec
from core.text.stream import TextStream, cut
from core.text.tokenizer import Tokenizer

KINDS = ("char", "word", "unigram", "bpe")
CLUSTERS = (
    "é",
    "\u1112\u1161\u11ab",
    "한\u11ab",
    "👍🏽",
    "👩\u200d👩\u200d👧",
    "❤\ufe0f",
    "x\u0302",
)

_signs = st.one_of(
    st.sampled_from(CLUSTERS),
    st.sampled_from(["\u0301", "\u11ab", "\u1161", "\u200d", "\ufe0f", "🏽", "🇰", "🇷", " ", "\n"]),
    st.characters(min_codepoint=0xAC00, max_codepoint=0xAC40),
    st.sampled_from(list("abc.,!")),
    st.characters(),
)
texts = st.lists(_signs, max_size=24).map("".join)


@functools.cache
def trained(kind: str) -> Tokenizer:
    lines = ["hello world again", "안녕하세요 반갑습니다", "각 나 다 \u0301 \u11ab", "ab abc. 가각"]
    return Tokenizer.train(lines, TokenizerSpec(kind=kind, vocabulary_size=400))


@st.composite
def stopped(draw: st.DrawFn) -> tuple[Tokenizer, list[int], list[str]]:
    """A tokenizer, what a model says with it, and texts that stop it: some are in there."""
    tokenizer = trained(draw(st.sampled_from(KINDS)))
    ids = tokenizer.encode(draw(texts))
    if draw(st.booleans()):  # bytes of no character, pieces in any order
        ids += draw(st.lists(st.integers(0, tokenizer.size - 1), max_size=12))
    whole = tokenizer.decode(ids).replace("\ufffd", "")  # no text: it stands for broken bytes
    found = list[str]()
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, max(len(whole) - 1, 0)))
        inside = whole[start : start + draw(st.integers(1, 6))]
        found.append(draw(st.sampled_from([inside or "a", inside + "a", draw(_signs)])))
    return tokenizer, ids, [stop for stop in found if "\ufffd" not in stop]


def streamed(tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str] = ()) -> list[str]:
    stream = TextStream(tokenizer, stop=stop)
    return [*map(stream.push, ids), stream.flush()]


def check_streaming(tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str]) -> None:
    """See that pieces make the whole, and that decoding stops where the text does."""
    whole = cut(tokenizer.decode(ids), stop)
    assert "".join(streamed(tokenizer, ids, stop)) == whole
    assert not any(one in whole for one in stop)
    wish = Wish(
        spec=DecodeSpec(),
        stop=tuple(one.encode() for one in stop),
        spell=tokenizer.spelling,
        lead=tokenizer.lead.encode(),
    )
    said = next((n for n in range(1, len(ids) + 1) if stops(wish, ids[:n])), len(ids))
    assert cut(tokenizer.decode(ids[:said]), stop) == whole
    assert "".join(streamed(tokenizer, ids[:said], stop)) == whole

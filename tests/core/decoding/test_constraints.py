import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decoding.constraints import Bans, completes, is_shaped, shape, stops
from core.decoding.step import NEVER, SIGNS, Wish
from core.specs import DecodeSpec
from core.text.tokenizer import EOS

WORDS = 12  # ids of what is drawn here

ids = st.integers(0, WORDS - 1)
spellings = st.lists(st.binary(max_size=3), min_size=WORDS, max_size=WORDS)
phrases = st.lists(st.binary(min_size=1, max_size=4), max_size=3)


def wish(end: int | None = EOS, **options: object) -> Wish:
    return Wish(spec=DecodeSpec.model_validate(options), end=end)


def shaped(logits: torch.Tensor, lines: list[int], wishes: list[Wish], words: list[list[int]]):
    shape(logits, logits.logsumexp(-1), lines, wishes, words)
    return logits


@given(bans=st.lists(st.frozensets(st.integers(0, 9)), min_size=1, max_size=5))
def test_every_line_forbids_its_own_ids_and_keeps_the_others(bans) -> None:
    bans = [tuple(ban) for ban in bans]
    logits = torch.randn(len(bans), 7)
    expected = logits.clone()
    for line, ban in enumerate(bans):
        expected[line, [id_ for id_ in ban if id_ < 7]] = NEVER
    applied = Bans([Wish(spec=DecodeSpec(), never=ban) for ban in bans])
    applied.apply(logits)
    assert logits.equal(expected)
    wider = torch.zeros(len(bans), 10)  # a source that adds words joined the others
    applied.apply(wider)
    assert wider.isinf().sum(1).tolist() == [len(set(ban)) for ban in bans]


def test_no_lines_forbid_nothing() -> None:
    logits = torch.zeros(0, 5)
    Bans([]).apply(logits)
    Bans([wish()]).apply(logits := torch.zeros(1, 7))
    assert set(logits[0].isinf().nonzero().flatten().tolist()) == set(SIGNS)


def test_only_what_looks_back_is_shaped() -> None:
    assert not is_shaped(wish())
    assert not is_shaped(wish(banned=["a"], stop=["b"], prefix="c", required=["d"]))
    assert not is_shaped(wish(end=None, min_tokens=3))
    for options in ({"min_tokens": 3}, {"no_repeat_ngram": 2}, {"repetition_penalty": 1.5}):
        assert is_shaped(wish(**options))


def test_an_end_waits_for_the_shortest_length() -> None:
    logits = shaped(torch.zeros(3, 6), [0, 2], [wish(min_tokens=2)] * 3, [[5], [5], [5, 5]])
    assert logits.isinf().nonzero().tolist() == [[0, EOS]]


@given(words=st.lists(st.integers(5, 7), max_size=12), size=st.integers(1, 4))
def test_no_sequence_of_n_words_is_said_twice(words, size) -> None:
    said = [tuple(words[place : place + size]) for place in range(len(words) - size + 1)]
    expected = {
        id_
        for id_ in range(5, 8)
        if len(words) >= size - 1 and (*words[len(words) - size + 1 :], id_) in said
    }
    logits = shaped(torch.zeros(1, 8), [0], [wish(no_repeat_ngram=size)], [words])
    assert set(logits[0].isinf().nonzero().flatten().tolist()) == expected


@given(
    lines=st.lists(st.tuples(st.lists(ids, max_size=5), st.floats(1.0, 3.0)), max_size=4),
    seed=st.integers(0, 99),
)
def test_said_words_cost_their_log_probability_times_the_penalty(lines, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(lines) + 1, WORDS, generator=generator, dtype=torch.float64)
    logits[:, 3] = NEVER
    expected = logits.log_softmax(-1)
    for line, (words, penalty) in enumerate(lines):
        for id_ in set(words):
            expected[line, id_] *= penalty
    log_z = logits.logsumexp(-1)
    wishes = [wish(repetition_penalty=penalty) for _, penalty in lines]
    shape(logits, log_z, range(len(lines)), wishes, [words for words, _ in lines])
    torch.testing.assert_close(logits - log_z.unsqueeze(1), expected)
    assert logits[:, 3].eq(NEVER).all()


def test_a_line_is_shaped_alike_whatever_the_others_want() -> None:
    wishes = [wish(repetition_penalty=2.0, no_repeat_ngram=2), wish(min_tokens=9), wish()]
    words = [[5, 6, 5], [5], [7, 7]]
    logits = torch.randn(3, 9)
    together = shaped(logits.clone(), [0, 1, 2], wishes, words)
    for line in range(3):
        alone = shaped(logits[[line]].clone(), [0], [wishes[line]], [words[line]])
        assert together[[line]].equal(alone)
    assert together[2].equal(logits[2])


@given(spelled=spellings, words=st.lists(ids, max_size=6), next_id=ids, banned=phrases)
@settings(max_examples=300)
def test_a_text_is_completed_where_it_ends_in_the_next_word(spelled, words, next_id, banned):
    before = b"".join(spelled[id_] for id_ in words)
    after = before + spelled[next_id]
    expected = any(
        after[place : place + len(phrase)] == phrase and place + len(phrase) > len(before)
        for phrase in banned
        for place in range(len(after))
    )
    assert completes(banned, spelled.__getitem__, words, next_id) is expected


@given(spelled=spellings, words=st.lists(ids, max_size=6), stop=phrases, lead=st.booleans())
@settings(max_examples=300)
def test_a_reply_stops_with_the_word_that_completes_a_stop(spelled, words, stop, lead) -> None:
    spelled = [b" " + text if lead else text for text in spelled]
    asked = Wish(
        spec=DecodeSpec(), stop=tuple(stop), spell=spelled.__getitem__, lead=b" " if lead else b""
    )
    texts = [
        b"".join(map(spelled.__getitem__, words[:count])).removeprefix(asked.lead)
        for count in range(len(words) + 1)
    ]
    contain = [any(phrase in text for phrase in stop) for text in texts]
    if not any(contain[:-1]):  # nobody asks again after a stop
        assert stops(asked, words) is contain[-1]

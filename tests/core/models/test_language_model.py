from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.data.texts import TextBatch
from core.decoding.search import search
from core.decoding.step import Wish
from core.models.dropout import dropout
from core.models.generators import Generator
from core.models.language_model import LanguageModel, last_words
from core.models.learner import LossOptions
from core.models.stack import RecurrentStack
from core.models.text_readers import (
    RecurrentReader,
    TextReader,
    TransformerReader,
    WindowReader,
)
from core.models.transformer_decoder import TransformerDecoder
from core.specs import DecodeSpec

VOCABULARY = 19
PLAIN = LossOptions()


def stack_of(cell: str, *, bidirectional: bool = False, layers: int = 2) -> RecurrentStack:
    return RecurrentStack(
        cell=cell,
        input_dim=8,
        hidden_dim=8,
        layers=layers,
        bidirectional=bidirectional,
        dropout=0.2,
        locked_dropout=True,
        residual=True,
        weight_drop=0.1,
    )


def recurrent(cell: str) -> TextReader:
    return RecurrentReader(stack=stack_of(cell), dropout=dropout(0.2, locked=True))


def window(*, bidirectional: bool) -> TextReader:
    stack = stack_of("lstm", bidirectional=bidirectional)
    narrow = nn.Linear(16, 8) if bidirectional else None
    return WindowReader(stack=stack, window=5, dropout=dropout(0.2, locked=False), narrow=narrow)


def transformer() -> TextReader:
    decoder = TransformerDecoder(
        dim=8, memory_dim=None, layers=2, heads=2, feed_forward_dim=12, dropout=0.2
    )
    return TransformerReader(decoder)


READERS: dict[str, Callable[[], TextReader]] = {
    "rnn": lambda: recurrent("rnn"),
    "gru": lambda: recurrent("gru"),
    "lstm": lambda: recurrent("lstm"),
    "window": lambda: window(bidirectional=False),
    "window both ways": lambda: window(bidirectional=True),
    "transformer": transformer,
}
STREAMS = [name for name in READERS if "window" not in name]
CARRIES = ["rnn", "gru", "lstm"]


def model_of(name: str) -> LanguageModel:
    torch.manual_seed(0)
    embedding = nn.Embedding(VOCABULARY, 8)
    generator = Generator(feature_dim=8, vocabulary_size=VOCABULARY)
    generator.weight = embedding.weight  # tied
    nn.init.normal_(generator.bias)
    return LanguageModel(
        embedding=embedding,
        reader=READERS[name](),
        generator=generator,
        dropout=dropout(0.2, locked=True),
    )


def stretch(rows: int = 2, steps: int = 5, *, seed: int = 1, last: bool = False) -> TextBatch:
    words = torch.randint(VOCABULARY, (rows, steps + 1), generator=seeded(seed))
    mask = torch.ones(rows, steps, dtype=torch.bool)
    if last:
        mask[:, :-1] = False
    return TextBatch(tokens=words[:, :-1], gold=words[:, 1:], mask=mask)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prompts(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    words = torch.randint(VOCABULARY, (len(lengths), max(lengths)), generator=seeded(2))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    return words.masked_fill(~mask, 0), mask


@pytest.mark.parametrize("name", READERS)
def test_every_reader_learns_with_every_parameter(name: str) -> None:
    model = model_of(name)
    terms = model.losses(stretch(last="window" in name), PLAIN)
    terms.total.backward()
    assert terms.tokens == (2 if "window" in name else 10)
    assert float(terms.nll) == pytest.approx(float(terms.total.detach()))
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", READERS)
def test_saying_step_by_step_costs_what_training_says(name: str) -> None:
    model = model_of(name).eval()
    windowed = "window" in name
    batch = stretch(last=windowed)
    state = model.start(batch.tokens[:, :1], torch.ones(2, 1, dtype=torch.bool))
    nll = 0.0
    for step in range(5):
        logits, _, state = model.step(batch.tokens[:, step], state)
        spoken = logits.log_softmax(-1).gather(1, batch.gold[:, step : step + 1])
        if not windowed or step == 4:
            nll -= float(spoken.detach().sum())
    assert nll == pytest.approx(float(model.losses(batch, PLAIN).nll), abs=1e-4)


@pytest.mark.parametrize("name", READERS)
def test_label_smoothing_is_in_what_is_learned_but_not_in_what_is_told(name: str) -> None:
    model = model_of(name).eval()
    batch = stretch(last="window" in name)
    smooth, plain = (
        model.losses(batch, LossOptions(label_smoothing=0.2)),
        model.losses(batch, PLAIN),
    )
    torch.testing.assert_close(smooth.nll, plain.nll)
    assert float(smooth.total.detach()) != pytest.approx(float(plain.total.detach()))


@pytest.mark.parametrize("name", CARRIES)
def test_a_text_in_stretches_costs_what_it_costs_in_one(name: str) -> None:
    model = model_of(name).eval()
    whole = stretch(steps=9)
    carry: tuple[torch.Tensor, ...] = ()
    nll = torch.zeros(())
    for start, end in ((0, 4), (4, 5), (5, 9)):
        part = TextBatch(
            tokens=whole.tokens[:, start:end],
            gold=whole.gold[:, start:end],
            mask=whole.mask[:, start:end],
        )
        terms = model.losses(part, PLAIN, carry)
        nll, carry = nll + terms.nll, terms.carry
    assert not any(part.requires_grad for part in carry)
    torch.testing.assert_close(nll, model.losses(whole, PLAIN).nll, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", READERS)
def test_what_is_carried_matters_only_to_those_who_carry(name: str) -> None:
    model = model_of(name).eval()
    batch = stretch(last="window" in name)
    first = model.losses(stretch(seed=5, last="window" in name), PLAIN)
    again, anew = model.losses(batch, PLAIN, first.carry).nll, model.losses(batch, PLAIN).nll
    assert bool(first.carry) == (name in CARRIES)
    assert torch.equal(again, anew) != (name in CARRIES)


@pytest.mark.parametrize("name", STREAMS)
def test_no_word_is_told_by_one_that_comes_later(name: str) -> None:
    model = model_of(name).eval()
    words = stretch().tokens
    changed = words.clone()
    changed[:, 3:] = (changed[:, 3:] + 1) % VOCABULARY

    def features(tokens: torch.Tensor) -> torch.Tensor:
        return model.reader(model.embedding(tokens), model.reader.resume(()))[0]

    before, after = features(words), features(changed)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("name", READERS)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), padding=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_a_prompt_goes_on_in_company_as_it_does_alone(name, lengths, padding) -> None:
    model = model_of(name).eval()
    words, mask = prompts(*lengths)
    words = torch.nn.functional.pad(words, (0, padding), value=7)
    mask = torch.nn.functional.pad(mask, (0, padding))
    together = spoken(model, words, mask)
    for row, length in enumerate(lengths):
        alone = spoken(model, words[[row], :length], mask[[row], :length])
        torch.testing.assert_close(together[[row]], alone, atol=1e-5, rtol=1e-5)


def spoken(model: LanguageModel, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the model says of the three words after each prompt, (B, 3, V)."""
    with torch.inference_mode():
        state, token, said = model.start(words, mask), last_words(words, mask), []
        for following in (3, 4, 5):
            logits, _, state = model.step(token, state)
            said.append(logits.log_softmax(-1))
            token = torch.full_like(token, following)
    return torch.stack(said, dim=1)


@pytest.mark.parametrize("name", READERS)
def test_a_prompt_is_heard_whole_and_once(name: str) -> None:
    model = model_of(name).eval()
    words, mask = prompts(4, 4)
    at_once, *_ = model.step(last_words(words, mask), model.start(words, mask))
    state = model.start(words[:, :1], mask[:, :1])
    for step in range(4):
        one_by_one, _, state = model.step(words[:, step], state)
    torch.testing.assert_close(at_once, one_by_one, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", READERS)
def test_texts_of_every_strategy_go_on_in_company_as_alone(name: str) -> None:
    model = model_of(name).eval()
    words, mask = prompts(3, 7, 1, 5)
    specs = [
        DecodeSpec(beam_size=1, temperature=temperature, seed=seed, max_tokens=9)
        for seed, temperature in enumerate((None, 0.7, 1.0, 2.0))
    ]
    firsts = last_words(words, mask)
    wishes = [
        Wish(spec=spec, first=first, end=None, never=())
        for spec, first in zip(specs, firsts.tolist(), strict=True)
    ]
    together = search(model, words, mask, wishes=wishes)
    for row, wish in enumerate(wishes):
        one = slice(row, row + 1)
        alone = search(model, words[one], mask[one], wishes=[wish])
        assert alone[0][0].tokens == together[row][0].tokens
        assert len(alone[0][0].tokens) == 9


@pytest.mark.parametrize("name", READERS)
def test_selecting_rows_keeps_what_each_has_read(name: str) -> None:
    model = model_of(name).eval()
    words, mask = prompts(3, 6, 2)
    *_, state = model.step(last_words(words, mask), model.start(words, mask))
    tokens, rows = torch.tensor([5, 6, 7]), torch.tensor([2, 0, 2])
    chosen, *_ = model.step(tokens[rows], model.select(state, rows))
    every, *_ = model.step(tokens, state)
    torch.testing.assert_close(chosen, every[rows], atol=1e-6, rtol=1e-6)


def test_a_window_forgets_what_lies_before_it() -> None:
    for name in ("window", "window both ways"):
        model = model_of(name).eval()
        words, mask = prompts(9)
        other = words.clone()
        other[:, :4] = (other[:, :4] + 1) % VOCABULARY  # the window of 5 is the rest
        first = last_words(words, mask)
        told, *_ = model.step(first, model.start(words, mask))
        same, *_ = model.step(first, model.start(other, mask))
        torch.testing.assert_close(told, same)


def test_one_lstm_over_the_fables_has_as_many_parameters_as_were_published() -> None:
    stack = RecurrentStack(cell="lstm", input_dim=100, hidden_dim=256)
    model = LanguageModel(
        embedding=nn.Embedding(4169, 100),
        reader=WindowReader(stack=stack, window=20, dropout=dropout(0.2, locked=False)),
        generator=Generator(feature_dim=256, vocabulary_size=4169),
        dropout=dropout(0.2, locked=False),
    )
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_853_901


@pytest.mark.parametrize("name", READERS)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    model = model_of(name).double().eval()
    batch = stretch(rows=1, steps=4, last="window" in name)
    parameter = next(
        one for key, one in model.named_parameters() if "weight_input" in key or "in.weight" in key
    )
    model.losses(batch, PLAIN).total.backward()
    assert parameter.grad is not None
    direction = torch.randn(parameter.shape, dtype=torch.float64, generator=seeded(3))
    expected = float((parameter.grad * direction).sum())
    with torch.no_grad():
        parameter += 1e-5 * direction
        above = float(model.losses(batch, PLAIN).total)
        parameter -= 2e-5 * direction
        below = float(model.losses(batch, PLAIN).total)
    assert (above - below) / 2e-5 == pytest.approx(expected, rel=1e-5, abs=1e-8)

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.models.build import build
from core.models.decoders import DecoderState, RecurrentDecoder
from core.models.encoders import Encoded
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec

KINDS = {
    "plain": {"attention": "none"},
    "plain and peeky": {"attention": "none", "peeky": True, "tied_output": False},
    "after": {},
    "after and peeky": {"attention": "additive", "peeky": True},
    "covering": {"attention": "additive", "coverage": True},
    "feeding": {"input_feeding": True},
    "feeding and covering": {"attention": "local", "input_feeding": True, "coverage": True},
    "before": {"attention": "additive", "attention_position": "before"},
    "before and covering": {"attention_position": "before", "coverage": True, "peeky": True},
}
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])
AT_ONCE = [name for name in KINDS if "feeding" not in name and "before" not in name]


def decoder_of(name: str, **more: object) -> RecurrentDecoder:
    torch.manual_seed(0)
    sizes = {"embedding_dim": 3, "hidden_dim": 4, "cell": "lstm", "dropout": 0.0}
    spec = ModelSpec(**(sizes | KINDS[name] | more))
    model = build(spec, vocabulary_size=7)
    assert isinstance(model, Seq2Seq)
    decoder = model.decoder
    assert isinstance(decoder, RecurrentDecoder)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return decoder.double()


def numbers(seed: int, *shape: int) -> Tensor:
    """Return random numbers without touching torch's own generator, which drops."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def started(decoder: RecurrentDecoder, layers: int = 1) -> DecoderState:
    encoded = Encoded(numbers(1, 2, 4, 8), MASK, (numbers(2, 2, 1, 8),))
    return decoder.start(encoded, (numbers(3, 2, layers, 4), numbers(4, 2, layers, 4)))


def embedded(steps: int = 3) -> Tensor:
    return numbers(5, 2, steps, 3)


@pytest.mark.parametrize("name", KINDS)
def test_a_target_in_one_call_is_the_same_as_word_by_word(name: str) -> None:
    decoder = decoder_of(name).eval()
    state = started(decoder)
    whole, after = decoder(embedded(), state)
    for step in range(3):
        readout, state = decoder(embedded()[:, step : step + 1], state)
        torch.testing.assert_close(readout.features[:, 0], whole.features[:, step])
        if whole.attention is not None:
            torch.testing.assert_close(readout.attention[:, 0], whole.attention[:, step])
    for ours, theirs in zip(state.recurrent, after.recurrent, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_dropped_for_a_sequence_is_dropped_at_each_of_its_steps(name: str) -> None:
    more = {"dropout": 0.5, "locked_dropout": True, "weight_drop": 0.5, "decoder_layers": 2}
    decoder = decoder_of(name, **more).train()
    state = started(decoder, layers=2)
    whole, _ = decoder(embedded(), state)
    again, _ = decoder(embedded(), started(decoder, layers=2))
    assert not torch.allclose(whole.features, again.features)
    for step in range(3):
        readout, state = decoder(embedded()[:, step : step + 1], state)
        torch.testing.assert_close(readout.features[:, 0], whole.features[:, step])


@pytest.mark.parametrize("name", KINDS)
def test_only_what_must_goes_through_the_layers_step_by_step(name: str) -> None:
    decoder = decoder_of(name)
    calls = []
    decoder.stack.register_forward_hook(lambda *_: calls.append(1))
    decoder(embedded(), started(decoder))
    assert len(calls) == (1 if name in AT_ONCE else 3)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    decoder = decoder_of(name)
    state = started(decoder)
    parameters = list(decoder.parameters())

    def decode(words: Tensor, memory: Tensor, final: Tensor, first: Tensor, *_: Tensor):
        begun = decoder.start(Encoded(memory, MASK, (final,)), (first, state.recurrent[1]))
        return decoder(words, begun)[0].features

    shapes = ((2, 3, 3), (2, 4, 8), (2, 1, 8), (2, 1, 4))
    inputs = tuple(numbers(6, *shape).requires_grad_() for shape in shapes)
    assert torch.autograd.gradcheck(decode, (*inputs, *parameters), fast_mode=True)


def test_input_feeding_hears_the_features_of_the_step_before() -> None:
    decoder = decoder_of("feeding").eval()
    state = started(decoder)
    heard, after = decoder(embedded(1), state)
    assert after.fed is not None
    torch.testing.assert_close(after.fed, heard.features)
    deaf, _ = decoder(embedded(1), replace(after, fed=torch.zeros_like(after.fed)))
    fed, _ = decoder(embedded(1), after)
    assert not torch.allclose(deaf.features, fed.features)


def test_attention_before_the_cell_asks_with_the_state_before() -> None:
    decoder = decoder_of("before").eval()
    state = started(decoder)
    readout, _ = decoder(embedded(1), state)
    other, _ = decoder(-embedded(1), state)  # the word has no say in what is looked at
    torch.testing.assert_close(readout.attention, other.attention)
    assert not torch.allclose(readout.features, other.features)


def test_a_peeky_decoder_without_attention_shows_the_output_layer_what_it_peeks_at() -> None:
    decoder = decoder_of("plain and peeky").eval()
    state = started(decoder)
    readout, _ = decoder(embedded(), state)
    assert readout.features.shape == (2, 3, 4 + 8)
    assert state.context is not None
    torch.testing.assert_close(readout.features[..., 4:], state.context.expand(-1, 3, -1))


def test_without_attention_the_features_are_the_outputs_themselves() -> None:
    decoder = decoder_of("plain", tied_output=False).eval()
    state = started(decoder)
    readout, _ = decoder(embedded(), state)
    outputs, _ = decoder.stack(embedded(), state.recurrent)
    assert torch.equal(readout.features, outputs)
    assert readout.attention is None


@pytest.mark.parametrize("name", KINDS)
def test_selecting_rows_keeps_what_each_was_about(name: str) -> None:
    decoder = decoder_of(name).eval()
    _, state = decoder(embedded(1), started(decoder))
    every, _ = decoder(embedded(1), state)
    rows = torch.tensor([1, 0, 1])
    chosen, _ = decoder(embedded(1)[rows], state.select(rows))
    torch.testing.assert_close(chosen.features, every.features[rows])

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.models.encoders import Encoded
from core.models.multihead import CrossAttention, Positions, SelfAttention, attend
from core.models.sources import Sources
from core.models.transformer_decoder import TransformerDecoder, TransformerState
from core.models.transformer_encoder import TransformerEncoder

DIM = 8


def encoder_of(dropout: float = 0.0) -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder(dim=DIM, layers=2, heads=2, feed_forward_dim=12, dropout=dropout)


def decoder_of(dropout: float = 0.0, *, tells_attention: bool = True) -> TransformerDecoder:
    torch.manual_seed(1)
    return TransformerDecoder(
        dim=DIM,
        memory_dim=6,
        layers=2,
        heads=2,
        feed_forward_dim=12,
        dropout=dropout,
        tells_attention=tells_attention,
    )


def normal(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def mask_of(*lengths: int, padding: int = 0) -> Tensor:
    return torch.arange(max(lengths) + padding) < torch.tensor(lengths).unsqueeze(1)


def encoded(*lengths: int, padding: int = 0) -> Encoded:
    mask = mask_of(*lengths, padding=padding)
    memory = normal(len(lengths), max(lengths), 6)
    memory = torch.cat([memory, torch.full((len(lengths), padding, 6), 1e3)], dim=1)
    return Encoded(memory, mask, ())


lengths_of_rows = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@given(lengths=lengths_of_rows, padding=st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_neither_padding_nor_company_changes_what_is_encoded(lengths, padding) -> None:
    encoder = encoder_of().eval()
    embedded = normal(len(lengths), max(lengths) + padding, DIM) * 100
    together = encoder(embedded, mask_of(*lengths, padding=padding))
    for row, length in enumerate(lengths):
        alone = encoder(embedded[[row], :length], mask_of(length))
        torch.testing.assert_close(together.memory[[row], :length], alone.memory)
        torch.testing.assert_close(together.final[0][[row]], alone.final[0])


@given(lengths=lengths_of_rows, padding=st.integers(0, 4), steps=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_neither_padding_nor_company_changes_what_is_written(lengths, padding, steps) -> None:
    decoder = decoder_of().eval()
    words = normal(len(lengths), steps, DIM)
    source = encoded(*lengths, padding=padding)
    together, _ = decoder(words, decoder.start(source))
    assert together.attention is not None
    for row, length in enumerate(lengths):
        alone_source = Encoded(source.memory[[row], :length], mask_of(length), ())
        alone, _ = decoder(words[[row]], decoder.start(alone_source))
        torch.testing.assert_close(together.features[[row]], alone.features, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.attention[[row], :, :length], alone.attention)
        assert together.attention[row, :, length:].eq(0).all()


@given(cuts=st.lists(st.integers(1, 3), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_a_target_in_pieces_of_any_size_is_read_as_in_one(cuts) -> None:
    decoder = decoder_of().eval()
    words, state = normal(2, sum(cuts), DIM), decoder.start(encoded(4, 2))
    whole, _ = decoder(words, state)
    pieces = []
    for part in words.split(cuts, dim=1):
        readout, state = decoder(part, state)
        pieces.append(readout.features)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole.features, atol=1e-5, rtol=1e-5)


def test_no_word_hears_one_that_comes_later() -> None:
    decoder = decoder_of().eval()
    words = normal(2, 6, DIM)
    changed = words.clone()
    changed[:, 4:] = normal(2, 2, DIM, seed=8)
    state = decoder.start(encoded(4, 2))
    before, after = decoder(words, state)[0].features, decoder(changed, state)[0].features
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@given(rows=st.lists(st.integers(0, 2), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_selecting_rows_keeps_what_each_was_about(rows) -> None:
    decoder = decoder_of().eval()
    state = decoder.start(encoded(4, 2, 3))
    words, following, chosen = normal(3, 2, DIM), normal(3, 1, DIM, seed=9), torch.tensor(rows)
    _, state = decoder(words, state)
    every, _ = decoder(following, state)
    some, after = decoder(following[chosen], state.select(chosen))
    torch.testing.assert_close(some.features, every.features[chosen])
    again, _ = decoder(following[chosen], after)  # a state that was selected goes on
    torch.testing.assert_close(
        again.features, decoder(following, decoder(following, state)[1])[0].features[chosen]
    )


def test_a_beam_that_keeps_its_sources_moves_no_memory() -> None:
    decoder = decoder_of().eval()
    state = decoder.start(encoded(4, 2)).select(torch.tensor([0, 0, 1, 1]))
    _, state = decoder(normal(4, 1, DIM), state)
    within = state.select(torch.tensor([1, 1, 3, 2]))
    across = state.select(torch.tensor([0, 1, 0, 2]))
    assert within.sources is state.sources
    assert across.sources is not state.sources
    assert across.sources.parts is state.sources.parts  # other lines, the same sources


def test_attention_is_told_only_if_it_is_asked_for_and_changes_nothing() -> None:
    words, source = normal(2, 3, DIM), encoded(4, 2)
    telling, silent = decoder_of().eval(), decoder_of(tells_attention=False).eval()
    told, _ = telling(words, telling.start(source))
    plain, _ = silent(words, silent.start(source))
    torch.testing.assert_close(told.features, plain.features)
    assert plain.attention is None
    assert told.attention is not None
    torch.testing.assert_close(told.attention.sum(-1), torch.ones(2, 3))


def test_attention_stays_wide_where_the_rest_is_narrow() -> None:
    decoder = decoder_of(0.1)
    with torch.autocast("cpu", torch.bfloat16):
        readout, _ = decoder(normal(2, 3, DIM), decoder.start(encoded(4, 2)))
    assert readout.attention is not None
    assert readout.attention.dtype == torch.float32
    torch.testing.assert_close(readout.attention.sum(-1), torch.ones(2, 3))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_every_parameter_learns(dropout: float) -> None:
    encoder, decoder = encoder_of(dropout), decoder_of(dropout)
    written, _ = decoder(normal(2, 3, DIM), decoder.start(encoded(4, 2)))
    read = encoder(normal(2, 4, DIM), mask_of(4, 2))
    weights = normal(DIM, seed=6)  # norms make plain sums and squares constant
    ((written.features + read.memory[:, :3]) @ weights).sum().backward()
    for module in (encoder, decoder):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            if "project" not in name or "bias" not in name:  # a bias of keys changes no softmax
                assert parameter.grad.abs().sum() > 0, name


def test_gradients_of_the_encoder_agree_with_finite_differences() -> None:
    encoder = encoder_of().double().eval()
    embedded = normal(2, 3, DIM).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: encoder(x, mask_of(3, 2)).memory, (embedded,))


@pytest.mark.parametrize("tells_attention", [False, True])
def test_gradients_of_the_decoder_agree_with_finite_differences(tells_attention: bool) -> None:
    decoder = decoder_of(tells_attention=tells_attention).double().eval()
    words, memory = normal(2, 3, DIM).double(), normal(2, 4, 6, seed=4).double()

    def write(embedded: Tensor, seen: Tensor) -> Tensor:
        state = decoder.start(Encoded(seen, mask_of(4, 2), ()))
        first, state = decoder(embedded[:, :2], state)
        last, _ = decoder(embedded[:, 2:], state)  # gradients go through the state
        return torch.cat([first.features, last.features], dim=1)

    inputs = (words.requires_grad_(), memory.requires_grad_())
    assert torch.autograd.gradcheck(write, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_ways_to_attend_agree(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    attention = CrossAttention(dim=DIM, memory_dim=6, heads=2, dropout=0.0).to(dtype)
    queries, memory = normal(2, 3, DIM).to(dtype), normal(2, 4, 6).to(dtype)
    sources = Sources.read((attention.look_at(memory),), mask_of(4, 2))
    blended, weights = attention.weigh(queries, sources, 0)
    assert weights.shape == (2, 3, 4)
    close = {"atol": 1e-6, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 2e-2, "rtol": 2e-2}
    torch.testing.assert_close(attention(queries, sources, 0), blended, **close)


def test_dropout_of_attention_keeps_the_mean() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(dim=DIM, heads=2, dropout=0.3).eval()
    inputs = normal(1, 4, DIM)
    queries = inputs.view(1, 4, 2, 4).transpose(1, 2)
    seen = attention(inputs, None)[1].seen.chunk(2, dim=1)
    many = torch.stack([attend(queries, *seen, None, dropout=0.3) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(many, attend(queries, *seen, None), atol=0.05, rtol=0.05)


def test_places_have_no_end_and_differ() -> None:
    place = Positions(DIM)
    waves = place(torch.zeros(1, 5, DIM), torch.tensor([0, 1, 2, 10_000, 1_000_000]))[0]
    assert torch.pdist(waves).min() > 0.1
    torch.testing.assert_close(waves[0], torch.tensor([0.0] * 4 + [1.0] * 4))


def test_rows_that_begin_with_padding_are_read_from_where_they_begin() -> None:
    torch.manual_seed(2)
    decoder = TransformerDecoder(
        dim=DIM, memory_dim=None, layers=2, heads=2, feed_forward_dim=12, dropout=0.0
    ).eval()
    words, skipped = normal(2, 5, DIM), torch.tensor([3, 0])
    shifted, state = decoder(words[:, :4], TransformerState(skipped=skipped))
    alone, _ = decoder(words[:1, 3:4], TransformerState())
    torch.testing.assert_close(shifted.features[:1, 3:], alone.features)
    further, _ = decoder(words[:, 4:], state)
    plain, _ = decoder(words[:1, 3:], TransformerState())
    torch.testing.assert_close(further.features[:1], plain.features[:, 1:])
    assert shifted.features.isfinite().all()

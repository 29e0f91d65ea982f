import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.models.generators import Generator
from core.models.pointer import IMPOSSIBLE, Pointer, PointerState, count_beyond, fold
from core.text.tokenizer import UNK

V, F = 9, 4


def parts(seed: int = 0, kind: torch.dtype = torch.float64) -> tuple[Generator, Pointer]:
    torch.manual_seed(seed)
    generator = Generator(feature_dim=F, vocabulary_size=V).to(kind)
    return generator, Pointer(feature_dim=F).to(kind)


def looks(
    rows: int, steps: int, beyond: int = 3, kind: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (N, F), attention (N, S) and source ids (N, S)."""
    attention = torch.randn(rows, steps, dtype=kind).mul(3).softmax(-1)
    return torch.randn(rows, F, dtype=kind), attention, torch.randint(5, V + beyond, (rows, steps))


def by_hand(
    generator: Generator, pointer: Pointer, look: tuple[Tensor, Tensor, Tensor], beyond: int
) -> Tensor:
    """Return the mixture (N, V + X), not its logarithm, added up word by word."""
    features, attention, source = look
    gate = torch.sigmoid(features @ pointer.gate.weight[0] + pointer.gate.bias)
    words = (features @ generator.weight.T + generator.bias).softmax(-1)
    mixture = torch.zeros(len(features), V + beyond, dtype=features.dtype)
    for row in range(len(features)):
        for word in range(V):
            mixture[row, word] = gate[row] * words[row, word]
        for position, word in enumerate(source[row].tolist()):
            mixture[row, word] += (1 - gate[row]) * attention[row, position]
    return mixture


@given(seed=st.integers(0, 99), steps=st.integers(1, 12), beyond=st.integers(0, 4))
def test_the_mixture_is_what_it_is_by_hand(seed: int, steps: int, beyond: int) -> None:
    generator, pointer = parts(seed)
    look = looks(5, steps, beyond)

    log_probs = pointer.log_probs(generator, *look, beyond)

    expected = by_hand(generator, pointer, look, beyond)
    torch.testing.assert_close(log_probs.exp(), expected)
    torch.testing.assert_close(expected.sum(-1), torch.ones(5, dtype=torch.float64))


@given(seed=st.integers(0, 99), steps=st.integers(1, 12))
def test_training_looks_up_the_probability_that_decoding_spreads_out(seed: int, steps: int) -> None:
    generator, pointer = parts(seed)
    features, attention, source = looks(6, steps)
    gold = torch.cat([source[:3, 0], torch.randint(V, (3,))])  # to be copied; and anything

    total, nll = pointer.losses(generator, features, attention, source=source, gold=gold)

    log_probs = pointer.log_probs(generator, features, attention, source, 3)
    expected = -log_probs.gather(1, gold.unsqueeze(1)).sum()
    torch.testing.assert_close(nll, expected)
    torch.testing.assert_close(total, expected)


def test_labels_are_smoothed_over_the_vocabulary_alone() -> None:
    generator, pointer = parts()
    features, attention, source = looks(6, 5)
    gold = source[:, 1]

    total, nll = pointer.losses(
        generator, features, attention, source=source, gold=gold, label_smoothing=0.2
    )

    even = -generator.log_probs(features).mean(-1).sum()
    torch.testing.assert_close(total, 0.8 * nll + 0.2 * even)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_gradients_agree_with_finite_differences(label_smoothing: float) -> None:
    generator, pointer = parts()
    features, attention, source = looks(4, 5)
    gold = torch.tensor([source[0, 2], source[1, 0], 7, UNK])
    scores = attention.log()

    def loss(features: Tensor, scores: Tensor, *_: Tensor) -> Tensor:
        return pointer.losses(
            generator,
            features,
            scores.softmax(-1),
            source=source,
            gold=gold,
            label_smoothing=label_smoothing,
        )[0]

    parameters = [*generator.parameters(), *pointer.parameters()]
    inputs = [features.requires_grad_(), scores.requires_grad_(), *parameters]
    assert torch.autograd.gradcheck(loss, inputs)


@given(seed=st.integers(0, 99), padding=st.integers(0, 9), company=st.integers(0, 4))
def test_neither_padding_nor_company_changes_a_row(seed: int, padding: int, company: int) -> None:
    generator, pointer = parts(seed, torch.float32)
    features, attention, source = looks(1, 4, 2, torch.float32)
    alone = pointer.log_probs(generator, features, attention, source, 2)
    gold = source[:, 0]
    alone_nll = pointer.losses(generator, features, attention, source=source, gold=gold)[1]

    others = looks(company, 4 + padding, 2 + company, torch.float32)
    features = torch.cat([features, others[0]])
    attention = torch.cat([torch.nn.functional.pad(attention, (0, padding)), others[1]])
    source = torch.cat([torch.nn.functional.pad(source, (0, padding)), others[2]])
    among = pointer.log_probs(generator, features, attention, source, 2 + company)
    both = pointer.losses(
        generator, features, attention, source=source, gold=torch.cat([gold, others[2][:, 0]])
    )[1]
    rest = pointer.losses(generator, *others[:2], source=others[2], gold=others[2][:, 0])[1]

    torch.testing.assert_close(among[:1, : V + 2], alone)
    assert among[0, V + 2 :].eq(-math.inf).all()
    torch.testing.assert_close(both - rest, alone_nll, atol=1e-4, rtol=1e-4)


def test_a_word_that_neither_part_can_say_costs_a_finite_sum_and_teaches_nothing() -> None:
    generator, pointer = parts(kind=torch.float32)
    features = torch.randn(2, F, requires_grad=True)
    attention = torch.tensor([[0.0, 1.0], [0.0, 1.0]], requires_grad=True)
    source = torch.tensor([[V, 6], [V, 6]])

    total, nll = pointer.losses(
        generator, features, attention, source=source, gold=torch.tensor([V, V + 1])
    )
    total.backward()  # type: ignore[no-untyped-call]

    assert nll.item() == -2 * IMPOSSIBLE
    tensors = [features, attention, *generator.parameters(), *pointer.parameters()]
    assert all(tensor.grad is not None and tensor.grad.eq(0).all() for tensor in tensors)


@pytest.mark.parametrize("gold", [0, 5, V])
@pytest.mark.parametrize("gate", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1e-45, 1.0), (1e-38, 1.0)])
def test_nothing_is_nan_however_sure_the_parts_are(
    gold: int, gate: float, weights: tuple[float, float]
) -> None:
    generator, pointer = parts(kind=torch.float32)
    with torch.no_grad():
        generator.weight.mul_(1e4)  # one word takes all of the vocabulary's probability
        pointer.gate.weight.zero_()
        pointer.gate.bias.fill_(gate)
    features = torch.randn(1, F, requires_grad=True)
    attention = torch.tensor([weights], requires_grad=True)
    source = torch.tensor([[V, 6]])

    total, _ = pointer.losses(
        generator,
        features,
        attention,
        source=source,
        gold=torch.tensor([gold]),
        label_smoothing=0.1,
    )
    total.backward()  # type: ignore[no-untyped-call]

    assert total.isfinite()
    tensors = [features, attention, *generator.parameters(), *pointer.parameters()]
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in tensors)
    assert not pointer.log_probs(generator, features, attention, source, 1).isnan().any()


def test_words_beyond_the_vocabulary_are_counted_and_have_one_embedding() -> None:
    ids = torch.tensor([[5, V + 1, V], [UNK, 8, 7]])

    assert fold(ids, V).tolist() == [[5, UNK, UNK], [UNK, 8, 7]]
    assert count_beyond(ids, V) == 2
    assert count_beyond(ids[1:], V) == 0


class Letters:
    """A decoder's state that says which rows were taken from it."""

    def __init__(self, rows: str) -> None:
        self.rows = rows

    def select(self, rows: Tensor) -> "Letters":
        return Letters("".join(self.rows[row] for row in rows.tolist()))


def test_selected_rows_keep_their_source() -> None:
    state = PointerState(Letters("abc"), torch.tensor([[1], [2], [3]]), beyond=5)

    chosen = state.select(torch.tensor([2, 0, 0]))

    assert chosen.decoder.rows == "caa"
    assert chosen.source.tolist() == [[3], [1], [1]]
    assert chosen.beyond == 5

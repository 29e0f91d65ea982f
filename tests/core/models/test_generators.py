import pytest
import torch
from torch.nn import functional

from core.models.generators import Generator


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_losses_are_sums_of_cross_entropy(label_smoothing: float) -> None:
    torch.manual_seed(0)
    generator = Generator(feature_dim=4, vocabulary_size=9)
    features, gold = torch.randn(7, 4), torch.randint(9, (7,))

    total, nll = generator.losses(features, gold, label_smoothing)

    logits = features @ generator.weight.T + generator.bias
    torch.testing.assert_close(nll, functional.cross_entropy(logits, gold, reduction="sum"))
    torch.testing.assert_close(
        total,
        functional.cross_entropy(logits, gold, reduction="sum", label_smoothing=label_smoothing),
    )
    assert total.requires_grad
    assert not nll.requires_grad


def test_log_probabilities_sum_to_one_and_are_never_halves() -> None:
    torch.manual_seed(0)
    generator = Generator(feature_dim=4, vocabulary_size=9).bfloat16()

    log_probs = generator.log_probs(torch.randn(3, 4).bfloat16())

    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_gradients_of_the_loss_agree_with_finite_differences(label_smoothing: float) -> None:
    torch.manual_seed(0)
    generator = Generator(feature_dim=4, vocabulary_size=9).double()
    features = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    gold = torch.randint(9, (5,))

    def loss(features: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return generator.losses(features, gold, label_smoothing)[0]

    assert torch.autograd.gradcheck(loss, [features, *generator.parameters()])

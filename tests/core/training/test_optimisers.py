import pytest
import torch
from torch import Tensor, nn

from core.specs import TrainSpec
from core.training.optimisers import (
    average_and_clip,
    make_optimiser,
    moments,
    put_moments,
    set_rate,
)

SPECS = [
    TrainSpec(optimiser="adam", weight_decay=0.01),
    TrainSpec(optimiser="sgd"),
    TrainSpec(optimiser="sgd", momentum=0.9),
    TrainSpec(optimiser="rmsprop"),
]


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3))]


def step(optimiser: torch.optim.Optimizer, own: list[nn.Parameter], seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    for one in own:
        one.grad = torch.randn(one.shape, generator=chance)
    optimiser.step()


def by_hand(spec: TrainSpec, gradients: list[Tensor], weight: Tensor) -> Tensor:
    """The rules as the papers and Keras state them, written out."""
    mean, square, speed = (torch.zeros_like(weight) for _ in range(3))
    for count, gradient in enumerate(gradients, start=1):
        if spec.optimiser == "adam":
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.98 * square + 0.02 * gradient**2
            right = (square / (1 - 0.98**count)).sqrt() + 1e-8
            weight = weight * (1 - spec.learning_rate * spec.weight_decay)
            weight = weight - spec.learning_rate * mean / (1 - 0.9**count) / right
        elif spec.optimiser == "rmsprop":
            square = 0.9 * square + 0.1 * gradient**2
            weight = weight - spec.learning_rate * gradient / (square.sqrt() + 1e-7)
        else:
            speed = spec.momentum * speed + gradient
            weight = weight - spec.learning_rate * speed
    return weight


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.optimiser}-{spec.momentum}")
def test_each_optimiser_follows_its_rule(spec) -> None:
    (own, _) = parameters()
    optimiser = make_optimiser(spec, [own])
    before, gradients = own.detach().clone(), []
    for seed in range(5):
        step(optimiser, [own], seed)
        gradients.append(own.grad)
    torch.testing.assert_close(own.detach(), by_hand(spec, gradients, before))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.optimiser}-{spec.momentum}")
def test_an_optimiser_goes_on_from_what_another_remembered(spec) -> None:
    names = ["a.weight", "a.bias"]
    own = parameters()
    optimiser = make_optimiser(spec, own)
    for seed in range(3):
        step(optimiser, own, seed)
    remembered = moments(optimiser, names)
    copies = [nn.Parameter(one.detach().clone()) for one in own]
    other = make_optimiser(spec, copies)
    put_moments(other, names, remembered)
    kept = {name: one.clone() for name, one in remembered.items()}
    for seed in (7, 8):
        for one, held in ((optimiser, own), (other, copies)):
            set_rate(one, 0.05 * seed)
            step(one, held, seed)
    assert all(torch.equal(one, two) for one, two in zip(own, copies, strict=True))
    assert all(torch.equal(one, kept[name]) for name, one in remembered.items())  # untouched


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_gradients_become_their_mean_and_no_longer_than_allowed(scale) -> None:
    torch.manual_seed(0)
    sums = [torch.randn(4, 3) * scale, torch.randn(5) * scale]
    expected = [nn.Parameter(torch.zeros_like(one)) for one in sums]
    for one, total in zip(expected, sums, strict=True):
        one.grad = total / 7
    nn.utils.clip_grad_norm_(expected, 0.25)
    average_and_clip(sums, tokens=7, clip_norm=0.25)
    for one, total in zip(expected, sums, strict=True):
        torch.testing.assert_close(total, one.grad)

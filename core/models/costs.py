"""What the bricks of a network cost, by formula: the multiply-adds of their matrix products.

A multiply-add is two floating-point operations. What is done element by element is not counted:
it is small beside the products, and the counter of torch leaves it out too.
Sizes: S source steps, T target steps.
"""

from dataclasses import asdict, astuple, dataclass
from functools import singledispatch
from typing import Literal

from torch import nn

from core.models.attention import AdditiveAttention, LocalAttention, ProductAttention
from core.models.generators import Generator
from core.models.multihead import CrossAttention, FeedForward, SelfAttention
from core.models.pointer import Pointer
from core.models.recurrence import Recurrence
from core.models.self_attention import GatedSelfAttention

Side = Literal["source", "target", "once"]  # what a brick goes through: one step after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Multiply-adds, by what they are spent on; they add up."""

    source: int = 0  # for each source token
    source_pair: int = 0  # for each pair of a source token and one it looks at
    target: int = 0  # for each target token, the output layer left out
    pair: int = 0  # for each pair of a target token and a source token
    target_pair: int = 0  # for each pair of a target token and one it looks back at
    output: int = 0  # for each target token, in the output layer
    once: int = 0  # for each sequence

    def __add__(self, other: "Cost") -> "Cost":
        mine, theirs = asdict(self), asdict(other)
        return Cost(**{name: mine[name] + theirs[name] for name in mine})

    def total(self, source_steps: int, target_steps: int) -> int:
        """Return what S source and T target steps cost in training, all words at once.

        There a word looks at all T, and those to come are masked; step by step it is about half.
        """
        counts = (
            source_steps,
            source_steps**2,
            target_steps,
            target_steps * source_steps,
            target_steps**2,
            target_steps,
            1,
        )
        return sum(one * count for one, count in zip(astuple(self), counts, strict=True))


def at(side: Side, each: int, pair: int = 0) -> Cost:
    """Return a cost for ``each`` step of a side, and for each ``pair`` of its steps."""
    match side:
        case "source":
            return Cost(source=each, source_pair=pair)
        case "target":
            return Cost(target=each, target_pair=pair)
        case "once":
            return Cost(once=each)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a network a brick stands."""

    side: Side
    memory_dim: int = 0  # of what is attended to
    window: int = 1  # how many tokens are read anew for each one that is said
    letter: str = ""  # of what goes by, if it is not that of the side

    @property
    def steps(self) -> str:
        """How many steps go by, as a letter."""
        return self.letter or {"source": "S", "target": "T", "once": "1"}[self.side]


@dataclass(frozen=True, slots=True)
class Brick:
    """What a brick is, what flows through it, and what that costs."""

    what: str
    flow: str
    cost: Cost


@singledispatch
def brick(module: nn.Module, place: Place) -> Brick | None:  # noqa: ARG001 (others need it)
    """Describe ``module``; None if it is made of other bricks, or costs nothing and holds none."""
    return None


@brick.register
def _(module: nn.Embedding, place: Place) -> Brick:
    steps = place.steps
    return Brick("embedding", f"(B, {steps}) > (B, {steps}, {module.embedding_dim})", Cost())


@brick.register
def _(module: nn.Linear, place: Place) -> Brick:
    size_in, size_out = module.in_features, module.out_features
    return Brick("linear", _flow(place, size_in, size_out), at(place.side, size_in * size_out))


@brick.register
def _(module: nn.LayerNorm, place: Place) -> Brick:
    return Brick("layer norm", _flow(place, *module.normalized_shape * 2), Cost())


@brick.register
def _(module: Recurrence, place: Place) -> Brick:
    width, size_in = module.weight_input.shape
    hidden_dim = module.hidden_dim
    each = width * (size_in + hidden_dim) * place.window
    return Brick(module.cell, _flow(place, size_in, hidden_dim), at(place.side, each))


@brick.register
def _(module: SelfAttention, place: Place) -> Brick:
    dim = module.project_out.in_features
    cost = at(place.side, 4 * dim * dim, pair=2 * dim)
    return Brick(f"self-attention, {module.heads} heads", _flow(place, dim, dim), cost)


@brick.register
def _(module: CrossAttention, place: Place) -> Brick:
    dim, memory_dim = module.project_out.in_features, module.project_memory.in_features
    cost = Cost(source=2 * memory_dim * dim, target=2 * dim * dim, pair=2 * dim)
    what = f"cross-attention, {module.heads} heads"
    return Brick(what, _looking(place, dim, memory_dim, dim), cost)


@brick.register
def _(module: FeedForward, place: Place) -> Brick:
    dim, wide = module.widen.in_features, module.widen.out_features
    return Brick("feed forward", _flow(place, dim, dim), at(place.side, 2 * dim * wide))


@brick.register
def _(module: ProductAttention, place: Place) -> Brick:
    if isinstance(module.keys, nn.Identity):
        dim = place.memory_dim
        return Brick("dot attention", _looking(place, dim, dim, dim), Cost(pair=2 * dim))
    memory_dim, query_dim = module.keys.in_features, module.keys.out_features
    cost = Cost(source=memory_dim * query_dim, pair=query_dim + memory_dim)
    return Brick("general attention", _looking(place, query_dim, memory_dim, memory_dim), cost)


@brick.register
def _(module: LocalAttention, place: Place) -> Brick:
    memory_dim, query_dim = module.keys.in_features, module.keys.out_features
    cost = Cost(
        source=memory_dim * query_dim,
        target=query_dim * (query_dim + 1),
        pair=query_dim + memory_dim,
    )
    return Brick("local attention", _looking(place, query_dim, memory_dim, memory_dim), cost)


@brick.register
def _(module: AdditiveAttention, place: Place) -> Brick:
    query_dim, memory_dim = module.query.in_features, module.keys.in_features
    hidden_dim = module.query.out_features
    covering = 0 if module.coverage is None else hidden_dim
    cost = Cost(
        source=memory_dim * hidden_dim,
        target=query_dim * hidden_dim,
        pair=hidden_dim + covering + memory_dim,
    )
    return Brick("additive attention", _looking(place, query_dim, memory_dim, memory_dim), cost)


@brick.register
def _(module: GatedSelfAttention, place: Place) -> Brick:
    dim = module.keys.in_features
    cost = at(place.side, 5 * dim * dim, pair=2 * dim)
    return Brick("gated self-attention", _flow(place, dim, dim), cost)


@brick.register
def _(module: Generator, place: Place) -> Brick:
    words, size_in = module.weight.shape
    return Brick("output layer", _flow(place, size_in, words), Cost(output=size_in * words))


@brick.register
def _(module: Pointer, place: Place) -> Brick:
    size_in = module.gate.in_features
    return Brick("pointer", _flow(place, size_in, 1), Cost(output=size_in))


def _flow(place: Place, size_in: int, size_out: int) -> str:
    steps = place.steps
    return f"(B, {steps}, {size_in}) > (B, {steps}, {size_out})"


def _looking(place: Place, query_dim: int, memory_dim: int, size_out: int) -> str:
    steps = place.steps
    return f"(B, {steps}, {query_dim}), (B, S, {memory_dim}) > (B, {steps}, {size_out})"

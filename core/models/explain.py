"""A network told in figures: its parts, what flows through them, and what a token costs."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from core.models.asker import Asker
from core.models.build import Network, build
from core.models.costs import Cost, Place, brick
from core.models.language_model import LanguageModel
from core.models.seq2seq import Seq2Seq
from core.models.text_readers import WindowReader
from core.specs import ModelSpec

BYTES = 4  # of a parameter: weights are float32, whatever precision products are made in
TRAINED = 4  # weight, gradient, and the two moments of Adam


@dataclass(frozen=True, slots=True)
class Parameter:
    """One tensor that is learned."""

    name: str
    shape: tuple[int, ...]
    tied: bool  # it is another part's, and counted there


@dataclass(frozen=True, slots=True)
class Part:
    """One brick of a network."""

    name: str  # the path of its module
    what: str
    parameters: tuple[Parameter, ...]
    count: int  # of numbers that are learned, tied ones left out
    flow: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a network is made of. Sizes in flows: B rows, S source steps, T target steps."""

    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many numbers are learned."""
        return sum(part.count for part in self.parts)

    @property
    def weight_bytes(self) -> int:
        """How much memory the weights take."""
        return self.count * BYTES

    @property
    def training_bytes(self) -> int:
        """How much weights, gradients and the state of Adam take; batches come on top."""
        return self.count * BYTES * TRAINED

    @property
    def cost(self) -> Cost:
        """What tokens cost in multiply-adds."""
        return sum((part.cost for part in self.parts), Cost())


def explain(spec: ModelSpec, *, vocabulary_size: int) -> Explanation:
    """Return what ``build`` makes of ``spec``; nobody else's random numbers are used for that."""
    with torch.random.fork_rng(devices=[]):
        network = build(spec, vocabulary_size=vocabulary_size)
    seen: set[int] = set()
    return Explanation(
        tuple(
            part
            for name, module, place in _children(network)
            for part in _parts(name, module, place, seen)
        )
    )


def _children(network: Network) -> Iterator[tuple[str, nn.Module, Place]]:
    """Yield what ``network`` is made of; what goes by two names comes once."""
    if isinstance(network, Asker):
        for name, module in network.named_children():
            if module is network.writer:
                for inner, part, place in _children(network.writer):
                    yield f"{name}.{inner}", part, place
            else:
                yield name, module, Place("source", network.passage.memory_dim)
        return
    places = _texts(network) if isinstance(network, LanguageModel) else _pairs(network)
    for name, module in network.named_children():
        yield name, module, places[name]


def _pairs(network: Seq2Seq) -> dict[str, Place]:
    memory_dim = network.encoder.memory_dim
    source, target = Place("source", memory_dim), Place("target", memory_dim)
    shared = network.source_embedding is network.target_embedding
    return {
        "source_embedding": Place("source", letter="S or T") if shared else source,
        "target_embedding": target,
        "encoder": source,
        "bridge": Place("once"),
        "decoder": target,
        "generator": target,
        "pointer": target,
        "dropout": target,
    }


def _texts(network: LanguageModel) -> dict[str, Place]:
    reader = network.reader
    window = reader.window if isinstance(reader, WindowReader) else 1
    target = Place("target", window=window)
    return {"embedding": target, "reader": target, "generator": target, "dropout": target}


def _parts(name: str, module: nn.Module, place: Place, seen: set[int]) -> Iterator[Part]:
    """Yield the bricks of ``module``; parameters ``seen`` before are tied, new ones join them."""
    found = brick(module, place)
    if found is None:
        for child, inside in module.named_children():
            yield from _parts(f"{name}.{child}", inside, place, seen)
        return
    parameters, count = [], 0
    for path, parameter in module.named_parameters():
        tied = id(parameter) in seen
        seen.add(id(parameter))
        parameters.append(Parameter(path, tuple(parameter.shape), tied))
        count += 0 if tied else parameter.numel()
    yield Part(name, found.what, tuple(parameters), count, found.flow, found.cost)

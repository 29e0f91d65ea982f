"""A network made ready to answer: weights packed, and a table where a product was always the same.

What is replaced are parts of a network; how it decodes is written once, and stays. Training never
meets a ready network.
"""

import copy
from typing import TypeVar, cast

import torch
from torch import nn

from core.models.asker import Asker
from core.models.build import Network
from core.models.decoders import RecurrentDecoder
from core.models.encoders import RecurrentEncoder
from core.models.fused_stack import FusedStack, fuses
from core.models.generators import Generator
from core.models.lexicon import Lexicon
from core.models.precision import fast_bf16
from core.models.products import SMALL, Multiplied, Packing, packs_integers
from core.models.ready_generator import ReadyGenerator
from core.models.seq2seq import Seq2Seq
from core.models.stack import RecurrentStack
from core.models.text_readers import RecurrentReader, WindowReader
from core.models.walks import ReadyStack, input_part
from core.specs.serving import ServingPrecision

TABLE_LIMIT = 64 << 20  # bytes of a table; what is larger is multiplied at each step
_AT_ONCE = 256  # rows of a table made together: what they pass through stays in the cache
_READ_AT_ONCE = {"encoder", "bridge", "keys", "project_memory"}  # what sees a whole source once
NARROW = 128  # a network of this width is not faster in fewer bits

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def choose_multiplied(network: nn.Module, precision: ServingPrecision) -> Multiplied:
    """Return what ``precision`` comes to for ``network`` on this machine.

    Bytes come first: they are the least to read, and their sums are exact.
    """
    if precision != "auto":
        return precision
    held = list(network.parameters())
    width = max((min(one.shape) for one in held if one.dim() > 1), default=0)
    if width < NARROW:
        return "fp32"
    if packs_integers():
        return "int8"
    return "bf16" if fast_bf16(held[0].device) else "fp32"


@torch.no_grad()
def make_ready(
    network: Network,
    precision: ServingPrecision,
    *,
    lexicon: Lexicon | None = None,
    small: int = SMALL,
) -> Network:
    """Return ``network`` for decoding alone, with its products in ``precision``.

    With a ``lexicon``, an encoder-decoder says what its source calls up. The one that is given
    stays as it is, and they share what both need. Weights of fewer than ``small`` numbers stay in
    float32. On a GPU, whose own libraries do this better, nothing changes. Of a network that asks
    questions only its writer is made ready.
    """
    if not next(network.parameters()).is_cpu:
        return network.eval()
    if isinstance(network, Asker):
        writer = make_ready(network.writer, precision, small=small)
        return network.with_writer(cast(Seq2Seq, writer)).eval()
    packing = Packing(choose_multiplied(network, precision), small)
    kept = {id(one): one for one in network.parameters()}
    ready = copy.deepcopy(network, kept).eval()
    generator = ReadyGenerator(
        network.generator,
        packing,
        bound=_feature_bound(network),
        narrows=lexicon is not None,
    )
    ready.generator = cast(Generator, generator)
    if isinstance(ready, Seq2Seq):
        ready.lexicon = lexicon
    tabled = _put_table(ready, packing)
    if isinstance(ready, Seq2Seq) and isinstance(ready.decoder, RecurrentDecoder):
        _put_combine(ready, ready.decoder, packing)
    _replace(ready, packing, tabled)
    return ready


def _replace(part: nn.Module, packing: Packing, tabled: dict[nn.Module, int]) -> None:
    """Put ready parts in the place of learned ones, wherever they are in ``part``."""
    for name, child in part.named_children():
        suited = packing.for_many_rows() if name in _READ_AT_ONCE else packing
        if (
            isinstance(child, RecurrentStack)
            and isinstance(part, RecurrentEncoder)
            and fuses(child)
        ):
            part.stack = cast(RecurrentStack, FusedStack(child, suited))
        elif isinstance(child, RecurrentStack):
            setattr(part, name, ReadyStack(child, suited, tabled=tabled.get(child, 0)))
        elif isinstance(child, nn.Linear) and child.weight.numel() >= packing.small:
            setattr(part, name, suited.product(child.weight, child.bias))
        else:
            _replace(child, suited, tabled)


def _put_combine(ready: Seq2Seq, decoder: RecurrentDecoder, packing: Packing) -> None:
    combine = decoder.combine
    if combine is not None:
        bound = _found_bound(ready, decoder)
        product = packing.product(combine.weight, combine.bias, bound=bound)
        decoder.combine = cast(nn.Linear, product)


def _put_table(ready: Network, packing: Packing) -> dict[nn.Module, int]:
    """Let the words that a recurrent decoder hears come as what its lowest layer makes of them.

    Returns that decoder's layers and how many of their inputs the table stands for; nothing where
    the embedding itself is needed, or the table is too large.
    """
    name, stack = _hearing(ready)
    if stack is None:
        return {}
    embedding = cast(nn.Embedding, getattr(ready, name))
    lowest = stack.recurrent_layers()[0].recurrences()
    parts = [input_part(one) for one in lowest]
    dim, words = embedding.embedding_dim, embedding.num_embeddings
    width = sum(weight.size(0) for weight, _ in parts)
    added = stack.residual and parts[0][0].size(1) == stack.output_dim
    if added or 4 * width * words > TABLE_LIMIT:
        return {}
    weight = torch.cat([weight[:, :dim] for weight, _ in parts])
    product = packing.product(weight, torch.cat([bias for _, bias in parts]))
    table = torch.empty(words, width)
    for first in range(0, words, _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        table[rows] = product(embedding.weight[rows])
    setattr(ready, name, nn.Embedding(words, width, _weight=table, _freeze=True))
    return {stack: dim}


def _hearing(ready: Network) -> tuple[str, RecurrentStack | None]:
    """Return the name of the embedding that decoding hears by, and the layers that hear it."""
    if isinstance(ready, Seq2Seq):
        decoder = ready.decoder
        return "target_embedding", decoder.stack if isinstance(decoder, RecurrentDecoder) else None
    reader = ready.reader
    if isinstance(reader, RecurrentReader | WindowReader):
        return "embedding", reader.stack
    return "embedding", None


def _feature_bound(network: Network) -> float | None:
    """Return what no number that the output layer reads is larger than, if that is known."""
    if not isinstance(network, Seq2Seq) or not isinstance(network.decoder, RecurrentDecoder):
        return None
    decoder = network.decoder
    if decoder.combine is not None and decoder.attention is not None:
        return 1.0  # a tanh made them
    return _found_bound(network, decoder) if decoder.combine is None else None


def _found_bound(network: Seq2Seq, decoder: RecurrentDecoder) -> float | None:
    """Return the same of what a decoder's layers and the memory make: states, and their means."""
    encoder = network.encoder
    plain = isinstance(encoder, RecurrentEncoder) and not encoder.stack.residual
    return 1.0 if plain and not decoder.stack.residual else None

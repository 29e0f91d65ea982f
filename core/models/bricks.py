"""Spec to bricks: each part of a network, as its spec describes it."""

from typing import TypeVar, assert_never, cast

from torch import nn

from core.models.attention import (
    AdditiveAttention,
    Attention,
    LocalAttention,
    ProductAttention,
)
from core.models.bridges import LastBridge, LinearBridge, ZeroBridge
from core.models.cells import STATES
from core.models.decoders import RecurrentDecoder
from core.models.dropout import dropout
from core.models.encoders import Encoder, RecurrentEncoder
from core.models.generators import Generator
from core.models.seq2seq import Bridge, Decoder
from core.models.stack import RecurrentStack
from core.models.text_readers import RecurrentReader, TextReader, TransformerReader, WindowReader
from core.models.transformer_decoder import TransformerDecoder
from core.models.transformer_encoder import TransformerEncoder
from core.specs import ModelSpec

ModuleT = TypeVar("ModuleT", bound=nn.Module)

# How far embeddings begin from zero. Wide, so that cells hear words early: it halves the steps to
# learn a set by heart, and the epochs to learn to add. Less wide where they are the output layer
# too, which would begin with opinions.
WIDE_STD, TIED_STD = 1.0, 0.3


def make_generator(spec: ModelSpec, embedding: nn.Embedding, feature_dim: int) -> Generator:
    """Return an output layer over the words of ``embedding``."""
    generator = Generator(
        feature_dim=feature_dim,
        vocabulary_size=embedding.num_embeddings,
        bias=spec.output_bias,
    )
    if spec.tied_output:
        generator.weight = cast(nn.Parameter, embedding.weight)
    return generator


def make_embedding(
    spec: ModelSpec, vocabulary_size: int, *, readers: tuple[str, ...], tied: bool
) -> nn.Embedding:
    """Return vectors as wide as those who read them like them; ``tied``: the output layer too."""
    std = TIED_STD if tied else WIDE_STD
    if "transformer" in readers:  # which multiplies by the square root of its width
        std = spec.embedding_dim**-0.5
    embedding = nn.Embedding(vocabulary_size, spec.embedding_dim)
    nn.init.normal_(embedding.weight, std=std)
    embedding.weight.requires_grad_(not spec.freeze_embedding)
    return embedding


def make_encoder(spec: ModelSpec) -> Encoder:
    """Return what reads a source."""
    match spec.encoder:
        case "recurrent":
            stack = make_stack(
                spec,
                input_dim=spec.embedding_dim,
                hidden_dim=spec.encoder_dim,
                layers=spec.encoder_layers,
                bidirectional=spec.bidirectional,
                reverse=spec.reversed_source,
            )
            return RecurrentEncoder(stack)
        case "transformer":
            return TransformerEncoder(
                dim=spec.hidden_dim,
                layers=spec.encoder_layers,
                heads=spec.heads,
                feed_forward_dim=spec.feed_forward_dim,
                dropout=spec.dropout,
            )
        case "none":
            raise ValueError("a language model has no encoder")
        case _:
            assert_never(spec.encoder)


def make_decoder(spec: ModelSpec) -> tuple[Decoder, int]:
    """Return the decoder, and the size of what it hands to the output layer."""
    match spec.decoder:
        case "recurrent":
            return _recurrent_decoder(spec)
        case "transformer":
            return _transformer_decoder(spec, memory_dim=spec.memory_dim), spec.hidden_dim
        case _:
            assert_never(spec.decoder)


def _recurrent_decoder(spec: ModelSpec) -> tuple[RecurrentDecoder, int]:
    context_dim = spec.memory_dim if spec.peeky else 0
    attended_dim = 0 if spec.attention == "none" else spec.memory_dim
    found_dim = spec.hidden_dim + attended_dim + context_dim
    if spec.tied_output:
        feature_dim = spec.embedding_dim
    else:
        feature_dim = spec.hidden_dim if attended_dim else found_dim
    combines = attended_dim or feature_dim != found_dim
    match spec.attention_position:
        case "before":
            fed_dim = attended_dim
        case "after":
            fed_dim = feature_dim if spec.input_feeding else 0
        case _:
            assert_never(spec.attention_position)
    decoder = RecurrentDecoder(
        stack=_decoder_stack(spec, input_dim=spec.embedding_dim + context_dim + fed_dim),
        combine=reset(nn.Linear(found_dim, feature_dim)) if combines else None,
        attention=_attention(spec),
        before=spec.attention_position == "before",
        input_feeding=spec.input_feeding,
        covers=spec.coverage,
        peeky=spec.peeky,
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )
    return decoder, feature_dim


def _transformer_decoder(spec: ModelSpec, *, memory_dim: int | None) -> TransformerDecoder:
    return TransformerDecoder(
        dim=spec.hidden_dim,
        memory_dim=memory_dim,
        layers=spec.decoder_layers,
        heads=spec.heads,
        feed_forward_dim=spec.feed_forward_dim,
        dropout=spec.dropout,
        tells_attention=spec.copy_source,
    )


def make_reader(spec: ModelSpec) -> tuple[TextReader, int]:
    """Return what reads running text, and the size of what it hands to the output layer."""
    match spec.decoder:
        case "transformer":
            return TransformerReader(_transformer_decoder(spec, memory_dim=None)), spec.hidden_dim
        case "recurrent":
            return _recurrent_reader(spec)
        case _:
            assert_never(spec.decoder)


def _recurrent_reader(spec: ModelSpec) -> tuple[TextReader, int]:
    stack = _decoder_stack(spec, input_dim=spec.embedding_dim, bidirectional=spec.bidirectional)
    feature_dim = spec.embedding_dim if spec.tied_output else stack.output_dim
    narrow = None
    if feature_dim != stack.output_dim:
        narrow = reset(nn.Linear(stack.output_dim, feature_dim))
    drop = dropout(spec.dropout, locked=spec.locked_dropout)
    if spec.window is None:
        return RecurrentReader(stack=stack, dropout=drop, narrow=narrow), feature_dim
    reader = WindowReader(stack=stack, window=spec.window, dropout=drop, narrow=narrow)
    return reader, feature_dim


def _decoder_stack(
    spec: ModelSpec, *, input_dim: int, bidirectional: bool = False
) -> RecurrentStack:
    return make_stack(
        spec,
        input_dim=input_dim,
        hidden_dim=spec.hidden_dim,
        layers=spec.decoder_layers,
        bidirectional=bidirectional,
    )


def make_stack(
    spec: ModelSpec,
    *,
    input_dim: int,
    hidden_dim: int,
    layers: int,
    bidirectional: bool,
    reverse: bool = False,
) -> RecurrentStack:
    """Return recurrent layers of the cells of ``spec``."""
    return RecurrentStack(
        cell=spec.cell,
        input_dim=input_dim,
        hidden_dim=hidden_dim,
        layers=layers,
        bidirectional=bidirectional,
        dropout=spec.dropout,
        locked_dropout=spec.locked_dropout,
        residual=spec.residual,
        layer_norm=spec.layer_norm,
        weight_drop=spec.weight_drop,
        reverse=reverse,
    )


def _attention(spec: ModelSpec) -> Attention | None:
    """Return what ``spec`` attends with; each is fresh."""
    query_dim, memory_dim, covers = spec.hidden_dim, spec.memory_dim, spec.coverage
    match spec.attention:
        case "none":
            return None
        case "dot":
            return ProductAttention(nn.Identity(), covers=covers)
        case "general":
            keys = reset(nn.Linear(memory_dim, query_dim, bias=False))
            return ProductAttention(keys, covers=covers)
        case "local":
            local = LocalAttention(
                query_dim=query_dim,
                memory_dim=memory_dim,
                window=spec.attention_window,
                covers=covers,
            )
            return reset(local)
        case "additive":
            additive = AdditiveAttention(
                query_dim=query_dim, memory_dim=memory_dim, hidden_dim=query_dim, covers=covers
            )
            return reset(additive)
        case _:
            assert_never(spec.attention)


def make_bridge(spec: ModelSpec) -> Bridge | None:
    """Return what begins a recurrent decoder; a Transformer has no beginning."""
    if spec.decoder == "transformer":
        return None
    hidden_dim, layers, states = spec.hidden_dim, spec.decoder_layers, STATES[spec.cell]
    match spec.bridge:
        case "last":
            return LastBridge()
        case "zero":
            return ZeroBridge(hidden_dim=hidden_dim, layers=layers, states=states)
        case "linear" | "mean":
            bridge = LinearBridge(
                memory_dim=spec.memory_dim,
                hidden_dim=hidden_dim,
                layers=layers,
                states=states,
                of_mean=spec.bridge == "mean",
            )
            return reset(bridge)
        case _:
            assert_never(spec.bridge)


def reset(module: ModuleT) -> ModuleT:
    """Give the linear layers in ``module`` fresh weights: Glorot and Bengio 2010, and no bias."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module

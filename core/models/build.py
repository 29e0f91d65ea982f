"""Spec to module: the one table where names become parts."""

from typing import TypeVar, cast

from torch import nn

from core.models.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    LocalAttention,
)
from core.models.bridges import LastBridge, LinearBridge, ZeroBridge
from core.models.cells import STATES
from core.models.decoders import RecurrentDecoder
from core.models.dropout import dropout
from core.models.encoders import Encoder, RecurrentEncoder
from core.models.generators import Generator
from core.models.pointer import Pointer
from core.models.recurrence import Recurrence
from core.models.seq2seq import Bridge, Decoder, Seq2Seq
from core.models.stack import RecurrentStack
from core.models.transformer_decoder import TransformerDecoder
from core.models.transformer_encoder import TransformerEncoder
from core.specs import ModelSpec

ModuleT = TypeVar("ModuleT", bound=nn.Module)

EMBEDDING_STD = (
    0.3  # wide enough for the cells to hear words early: halves the steps to learn a set
)


def build(spec: ModelSpec, *, vocabulary_size: int) -> Seq2Seq:
    """Make the network that ``spec`` describes, with fresh parameters from torch's generator."""
    source_embedding = _embedding(spec, spec.encoder, vocabulary_size)
    target_embedding = source_embedding
    if not spec.shared_embedding:
        target_embedding = _embedding(spec, spec.decoder, vocabulary_size)
    encoder = _encoder(spec)
    decoder, feature_dim = _decoder(spec)
    generator = Generator(feature_dim=feature_dim, vocabulary_size=vocabulary_size)
    if spec.tied_output:
        generator.weight = cast(nn.Parameter, target_embedding.weight)
    return Seq2Seq(
        source_embedding=source_embedding,
        target_embedding=target_embedding,
        encoder=encoder,
        bridge=_bridge(spec),
        decoder=decoder,
        generator=generator,
        pointer=Pointer(feature_dim=feature_dim) if spec.copy_source else None,
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )


def _embedding(spec: ModelSpec, reader: str, vocabulary_size: int) -> nn.Embedding:
    """Return vectors as wide as whoever reads them likes them."""
    embedding = nn.Embedding(vocabulary_size, spec.embedding_dim)
    narrow = reader == "transformer"  # which multiplies by the square root of its width
    nn.init.normal_(embedding.weight, std=spec.embedding_dim**-0.5 if narrow else EMBEDDING_STD)
    embedding.weight.requires_grad_(not spec.freeze_embedding)
    return embedding


def _encoder(spec: ModelSpec) -> Encoder:
    if spec.encoder == "transformer":
        return TransformerEncoder(
            dim=spec.hidden_dim,
            layers=spec.encoder_layers,
            heads=spec.heads,
            feed_forward_dim=spec.feed_forward_dim,
            dropout=spec.dropout,
        )
    encoder = RecurrentEncoder(
        cell=spec.cell,
        embedding_dim=spec.embedding_dim,
        hidden_dim=spec.encoder_dim,
        layers=spec.encoder_layers,
        bidirectional=spec.bidirectional,
        dropout=spec.dropout,
        locked_dropout=spec.locked_dropout,
        residual=spec.residual,
        layer_norm=spec.layer_norm,
        weight_drop=spec.weight_drop,
        reversed_source=spec.reversed_source,
    )
    return _remembering(encoder)


def _decoder(spec: ModelSpec) -> tuple[Decoder, int]:
    """Return the decoder, and the size of what it hands to the output layer."""
    if spec.decoder == "transformer":
        decoder = TransformerDecoder(
            dim=spec.hidden_dim,
            memory_dim=spec.memory_dim,
            layers=spec.decoder_layers,
            heads=spec.heads,
            feed_forward_dim=spec.feed_forward_dim,
            dropout=spec.dropout,
            tells_attention=spec.copy_source,
        )
        return decoder, spec.hidden_dim
    context_dim = spec.memory_dim if spec.peeky else 0
    attended_dim = 0 if spec.attention == "none" else spec.memory_dim
    found_dim = spec.hidden_dim + attended_dim + context_dim
    if spec.tied_output:
        feature_dim = spec.embedding_dim
    else:
        feature_dim = spec.hidden_dim if attended_dim else found_dim
    combines = attended_dim or feature_dim != found_dim
    before = spec.attention_position == "before"
    fed_dim = attended_dim if before else feature_dim if spec.input_feeding else 0
    return RecurrentDecoder(
        stack=_stack(spec, input_dim=spec.embedding_dim + context_dim + fed_dim),
        combine=_reset(nn.Linear(found_dim, feature_dim)) if combines else None,
        attention=_attention(spec),
        before=before,
        input_feeding=spec.input_feeding,
        covers=spec.coverage,
        peeky=spec.peeky,
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    ), feature_dim


def _stack(spec: ModelSpec, *, input_dim: int) -> RecurrentStack:
    stack = RecurrentStack(
        cell=spec.cell,
        input_dim=input_dim,
        hidden_dim=spec.hidden_dim,
        layers=spec.decoder_layers,
        dropout=spec.dropout,
        locked_dropout=spec.locked_dropout,
        residual=spec.residual,
        layer_norm=spec.layer_norm,
        weight_drop=spec.weight_drop,
    )
    return _remembering(stack)


def _attention(spec: ModelSpec) -> Attention | None:
    """Return what ``spec`` attends with; each is fresh."""
    query_dim, memory_dim, covers = spec.hidden_dim, spec.memory_dim, spec.coverage
    match spec.attention:
        case "none":
            return None
        case "dot":
            return DotAttention(covers=covers)
        case "general":
            general = GeneralAttention(query_dim=query_dim, memory_dim=memory_dim, covers=covers)
            return _reset(general)
        case "local":
            window = spec.attention_window
            return _reset(
                LocalAttention(
                    query_dim=query_dim, memory_dim=memory_dim, window=window, covers=covers
                )
            )
        case "additive":
            return _reset(
                AdditiveAttention(
                    query_dim=query_dim, memory_dim=memory_dim, hidden_dim=query_dim, covers=covers
                )
            )


def _bridge(spec: ModelSpec) -> Bridge | None:
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
            return _reset(bridge)


def _reset(module: ModuleT) -> ModuleT:
    """Give the linear layers in ``module`` fresh weights: Glorot and Bengio 2010, and no bias."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def _remembering(module: ModuleT) -> ModuleT:
    """Have every LSTM begin with its forget gates open: Jozefowicz et al. 2015, 4.1."""
    for part in module.modules():
        if isinstance(part, Recurrence) and part.cell == "lstm":
            nn.init.ones_(part.bias.data[part.hidden_dim : 2 * part.hidden_dim])
    return module

"""Spec to module: the one table where names become parts."""

from torch import nn

from core.models.attention import AdditiveAttention, Attention, GeneralAttention
from core.models.bridges import LinearBridge
from core.models.decoders import AttentionDecoder
from core.models.encoders import RecurrentEncoder
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec

STATES = {"gru": 1, "lstm": 2}  # how many vectors a cell carries along
EMBEDDING_STD = (
    0.3  # wide enough for the cells to hear words early: halves the steps to learn a set
)


def build(spec: ModelSpec, *, vocabulary_size: int) -> Seq2Seq:
    """Make the model that ``spec`` describes, with fresh parameters from torch's generator."""
    embedding = nn.Embedding(vocabulary_size, spec.embedding_dim)
    encoder = RecurrentEncoder(
        cell=spec.cell,
        embedding_dim=spec.embedding_dim,
        hidden_dim=spec.hidden_dim,
        layers=spec.encoder_layers,
        bidirectional=spec.bidirectional,
        dropout=spec.dropout,
    )
    feature_dim = spec.embedding_dim if spec.tied_output else spec.hidden_dim
    decoder = AttentionDecoder(
        cell=spec.cell,
        embedding_dim=spec.embedding_dim,
        hidden_dim=spec.hidden_dim,
        memory_dim=encoder.memory_dim,
        layers=spec.decoder_layers,
        feature_dim=feature_dim,
        attention=_attention(spec, memory_dim=encoder.memory_dim),
        dropout=spec.dropout,
    )
    bridge = LinearBridge(
        memory_dim=encoder.memory_dim,
        hidden_dim=spec.hidden_dim,
        layers=spec.decoder_layers,
        states=STATES[spec.cell],
    )
    generator = nn.Linear(feature_dim, vocabulary_size)
    model = Seq2Seq(
        embedding=embedding,
        encoder=encoder,
        bridge=bridge,
        decoder=decoder,
        generator=generator,
        dropout=spec.dropout,
    )
    _initialise(model)
    if spec.tied_output:
        generator.weight = embedding.weight
    return model


def _attention(spec: ModelSpec, *, memory_dim: int) -> Attention:
    if spec.attention == "additive":
        return AdditiveAttention(
            query_dim=spec.hidden_dim, memory_dim=memory_dim, hidden_dim=spec.hidden_dim
        )
    return GeneralAttention(query_dim=spec.hidden_dim, memory_dim=memory_dim)


def _initialise(model: Seq2Seq) -> None:
    """Xavier for matrices, orthogonal for recurrences, zero biases, wide embeddings."""
    for name, parameter in model.named_parameters():
        if name == "embedding.weight":
            nn.init.normal_(parameter, std=EMBEDDING_STD)
        elif "weight_hh" in name:
            for gate in parameter.data.view(-1, parameter.size(1), parameter.size(1)):
                nn.init.orthogonal_(gate)
        elif parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)

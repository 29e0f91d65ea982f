"""Spec to network: the one table where kinds of networks are put together from their bricks."""

from typing import assert_never

from torch import nn

from core.data.marks import SHAPES, TAGS
from core.models.asker import Asker
from core.models.bricks import (
    make_bridge,
    make_decoder,
    make_embedding,
    make_encoder,
    make_generator,
    make_reader,
    make_stack,
    reset,
)
from core.models.dropout import dropout
from core.models.encoders import Encoder, RecurrentEncoder
from core.models.language_model import LanguageModel
from core.models.passages import AnswerEncoder, PassageEncoder, TokenVectors
from core.models.pointer import Pointer
from core.models.proposers import Proposer, SpanProposer, TagProposer
from core.models.reader import SpanReader
from core.models.recurrence import Recurrence
from core.models.self_attention import GatedSelfAttention
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec, QuestionSpec

Network = Seq2Seq | LanguageModel | Asker


def build(spec: ModelSpec, *, vocabulary_size: int) -> Network:
    """Make the network that ``spec`` describes, with fresh parameters from torch's generator."""
    network: Network
    if spec.questions is not None:
        network = _asker(spec, spec.questions, vocabulary_size)
    elif spec.is_language_model:
        network = _language_model(spec, vocabulary_size)
    else:
        network = _seq2seq(spec, vocabulary_size)
    _open_forget_gates(network)
    return network


def _seq2seq(spec: ModelSpec, vocabulary_size: int) -> Seq2Seq:
    if spec.shared_embedding:
        source_embedding = target_embedding = make_embedding(
            spec, vocabulary_size, readers=(spec.encoder, spec.decoder), tied=spec.tied_output
        )
    else:
        source_embedding = make_embedding(
            spec, vocabulary_size, readers=(spec.encoder,), tied=False
        )
        target_embedding = make_embedding(
            spec, vocabulary_size, readers=(spec.decoder,), tied=spec.tied_output
        )
    encoder = make_encoder(spec)
    decoder, feature_dim = make_decoder(spec)
    return Seq2Seq(
        source_embedding=source_embedding,
        target_embedding=target_embedding,
        encoder=encoder,
        bridge=make_bridge(spec),
        decoder=decoder,
        generator=make_generator(spec, target_embedding, feature_dim),
        pointer=Pointer(feature_dim=feature_dim) if spec.copy_source else None,
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )


def _language_model(spec: ModelSpec, vocabulary_size: int) -> LanguageModel:
    embedding = make_embedding(
        spec, vocabulary_size, readers=(spec.decoder,), tied=spec.tied_output
    )
    reader, feature_dim = make_reader(spec)
    return LanguageModel(
        embedding=embedding,
        reader=reader,
        generator=make_generator(spec, embedding, feature_dim),
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )


def _asker(spec: ModelSpec, questions: QuestionSpec, vocabulary_size: int) -> Asker:
    written = _token_vectors(spec, questions, vocabulary_size, tied=spec.tied_output)

    def vectors() -> TokenVectors:
        """Return those of the writer, or fresh ones for a part that has its own."""
        if not questions.separate:
            return written
        return _token_vectors(spec, questions, vocabulary_size, tied=False)

    passage = _passage_encoder(spec, vectors())
    own = _passage_encoder(spec, written) if questions.separate else passage
    return Asker(
        passage=passage,
        proposer=_proposer(spec, questions, memory_dim=passage.memory_dim),
        writer=_writer(spec, questions, written, own),
        reader=_span_reader(spec, questions, vectors()),
        longest_answer=questions.longest_answer,
        proposal_weight=questions.proposal_weight,
        reading_weight=questions.reading_weight,
        separate=questions.separate,
    )


def _token_vectors(
    spec: ModelSpec, questions: QuestionSpec, vocabulary_size: int, *, tied: bool
) -> TokenVectors:
    words = make_embedding(spec, vocabulary_size, readers=("recurrent",), tied=tied)
    shapes = nn.Embedding(SHAPES, questions.shape_dim) if questions.shape_dim else None
    return TokenVectors(words=words, shapes=shapes, tags=None)


def _passage_encoder(
    spec: ModelSpec, vectors: TokenVectors, *, around: GatedSelfAttention | None = None
) -> PassageEncoder:
    stack = make_stack(
        spec,
        input_dim=vectors.dim,
        hidden_dim=spec.encoder_dim,
        layers=spec.encoder_layers,
        bidirectional=spec.bidirectional,
        reverse=spec.reversed_source,
    )
    return PassageEncoder(
        vectors=vectors,
        encoder=RecurrentEncoder(stack),
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
        around=around,
    )


def _self_attention(spec: ModelSpec, questions: QuestionSpec) -> GatedSelfAttention | None:
    """Return what the tokens of a passage look at each other with, before a question is made."""
    match questions.self_attention:
        case "none":
            return None
        case "gated":
            return reset(GatedSelfAttention(memory_dim=spec.passage_dim))
        case _:
            assert_never(questions.self_attention)


def _proposer(spec: ModelSpec, questions: QuestionSpec, *, memory_dim: int) -> Proposer:
    longest = questions.longest_answer
    match questions.proposer:
        case "tags":
            return reset(TagProposer(memory_dim=memory_dim, longest=longest))
        case "spans":
            return reset(
                SpanProposer(memory_dim=memory_dim, hidden_dim=spec.encoder_dim, longest=longest)
            )
        case _:
            assert_never(questions.proposer)


def _writer(
    spec: ModelSpec, questions: QuestionSpec, vectors: TokenVectors, passage: PassageEncoder
) -> Seq2Seq:
    """Return what asks; ``passage`` is what reads a passage in which no answer is marked."""
    encoder: Encoder
    match questions.condition:
        case "answer":
            stack = make_stack(
                spec,
                input_dim=passage.memory_dim,
                hidden_dim=spec.hidden_dim,
                layers=spec.decoder_layers,
                bidirectional=False,
            )
            encoder = AnswerEncoder(passage=passage, encoder=RecurrentEncoder(stack))
        case "passage":
            tags = nn.Embedding(TAGS, questions.tag_dim)
            tagged = TokenVectors(words=vectors.words, shapes=vectors.shapes, tags=tags)
            encoder = _passage_encoder(spec, tagged, around=_self_attention(spec, questions))
        case _:
            assert_never(questions.condition)
    decoder, feature_dim = make_decoder(spec)
    return Seq2Seq(
        source_embedding=vectors.words,
        target_embedding=vectors.words,
        encoder=encoder,
        bridge=make_bridge(spec),
        decoder=decoder,
        generator=make_generator(spec, vectors.words, feature_dim),
        pointer=Pointer(feature_dim=feature_dim) if spec.copy_source else None,
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )


def _span_reader(spec: ModelSpec, questions: QuestionSpec, vectors: TokenVectors) -> SpanReader:
    def encoder(input_dim: int) -> RecurrentEncoder:
        dim = questions.reader_dim
        stack = make_stack(spec, input_dim=input_dim, hidden_dim=dim, layers=1, bidirectional=True)
        return RecurrentEncoder(stack)

    word_dim = vectors.words.embedding_dim
    reader = SpanReader(
        vectors=vectors,
        question=encoder(word_dim),
        passage=encoder(vectors.dim + word_dim + 1),
        dropout=dropout(spec.dropout, locked=spec.locked_dropout),
    )
    for layer in (reader.align, reader.weigh, reader.first, reader.last):
        reset(layer)
    return reader


def _open_forget_gates(network: nn.Module) -> None:
    """Have every LSTM begin by keeping what it has: Jozefowicz et al. 2015, 4.1."""
    for part in network.modules():
        if isinstance(part, Recurrence) and part.cell == "lstm":
            nn.init.ones_(part.bias.data[part.hidden_dim : 2 * part.hidden_dim])

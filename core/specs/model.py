"""What a network looks like; combinations that make no sense are refused here, with the reason."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from core.specs.base import Spec
from core.specs.questions import QuestionSpec


class ModelSpec(Spec):
    """An encoder-decoder, or, without an encoder, a language model.

    Fields that belong to one kind of network (heads to a Transformer, cell to a recurrent one)
    say so and mean nothing to the other; switches that would be silently ignored are refused.
    """

    encoder: Literal["recurrent", "transformer", "none"] = "recurrent"  # none: a language model
    decoder: Literal["recurrent", "transformer"] = "recurrent"
    embedding_dim: int = Field(default=128, ge=2, le=1024)
    hidden_dim: int = Field(default=256, ge=2, le=2048)
    encoder_hidden_dim: int | None = Field(default=None, ge=2, le=2048)  # of one direction
    encoder_layers: int = Field(default=1, ge=1, le=8)
    decoder_layers: int = Field(default=1, ge=1, le=8)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    shared_embedding: bool = True  # source and target words have one vector
    tied_output: bool = True  # the output layer is the target embedding, transposed
    output_bias: bool = True  # words have a chance of their own in the output layer
    freeze_embedding: bool = False  # vectors that were loaded stay as they were

    # Recurrent encoders and decoders
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    bidirectional: bool = True  # the encoder, or a language model over a window
    residual: bool = False  # a layer adds to what it was given
    layer_norm: bool = False  # inside the cell: Ba et al. 2016
    locked_dropout: bool = False  # one mask for all steps of a sequence: Gal and Ghahramani 2016
    weight_drop: float = Field(default=0.0, ge=0.0, lt=1.0)  # of recurrent weights: Merity 2018
    reversed_source: bool = False  # the source is read from its end: Sutskever et al. 2014

    # From encoder to recurrent decoder
    bridge: Literal["last", "zero", "linear", "mean"] = "linear"
    attention: Literal["none", "dot", "general", "additive", "local"] = "general"
    attention_position: Literal["before", "after"] = "after"  # of the cell: Bahdanau, Luong
    attention_window: int = Field(default=5, ge=1, le=64)  # local: positions to either side
    input_feeding: bool = False  # a step hears what the one before attended to: Luong 3.3
    coverage: bool = False  # scores know what has been attended to: See et al. 2017
    peeky: bool = False  # every step and the output layer see the encoder's last state

    # From source to output, for any decoder
    copy_source: bool = False  # pointer mixture: a word may come from the source as it stands

    # Transformers
    heads: int = Field(default=4, ge=1, le=16)
    feed_forward_dim: int = Field(default=512, ge=2, le=8192)

    # Language models
    window: int | None = Field(default=None, ge=1, le=1024)  # sees only so many tokens

    # Models that ask questions about passages
    questions: QuestionSpec | None = None

    @property
    def encoder_dim(self) -> int:
        """The hidden size of the encoder, of one direction."""
        return self.encoder_hidden_dim or self.hidden_dim

    @property
    def memory_dim(self) -> int:
        """The size of what the decoder's encoder leaves for each source position."""
        if self.encoder == "transformer" or self.reads_answers_alone:
            return self.hidden_dim
        return self.passage_dim

    @property
    def passage_dim(self) -> int:
        """The same of a recurrent encoder that reads a whole text."""
        return self.encoder_dim * (2 if self.bidirectional else 1)

    @property
    def reads_answers_alone(self) -> bool:
        """Whether questions are made from what was read at the answer, and nothing else."""
        return self.questions is not None and self.questions.condition == "answer"

    @property
    def is_language_model(self) -> bool:
        """Whether it continues text instead of answering to a source."""
        return self.encoder == "none"

    @model_validator(mode="after")
    def _makes_sense(self) -> "ModelSpec":
        for reason in _faults(self):
            raise ValueError(reason)
        return self


def _faults(spec: ModelSpec) -> Iterator[str]:
    """Yield why ``spec`` makes no sense; nothing if it does."""
    if spec.questions is not None:
        yield from _question_faults(spec, spec.questions)
    if spec.is_language_model:
        yield from _language_model_faults(spec)
    elif spec.window is not None:
        yield "window: only a language model (encoder none) looks at a window"
    if "transformer" in (spec.encoder, spec.decoder):
        yield from _transformer_faults(spec)
    if spec.decoder == "recurrent" and not spec.is_language_model:
        yield from _attention_faults(spec)
        yield from _bridge_faults(spec)
    if "recurrent" not in (spec.encoder, spec.decoder):
        for name in ("residual", "layer_norm", "locked_dropout", "weight_drop"):
            if getattr(spec, name):
                yield f"{name}: belongs to recurrent layers, and there are none"
    if spec.freeze_embedding and not spec.shared_embedding:
        yield "freeze_embedding: needs shared_embedding, for one set of vectors is loaded"


def _question_faults(spec: ModelSpec, questions: QuestionSpec) -> Iterator[str]:
    for name in ("encoder", "decoder"):
        if getattr(spec, name) != "recurrent":
            yield f"{name}: a model with questions reads passages with recurrent layers"
    if not spec.shared_embedding:
        yield "shared_embedding: questions.separate says whether parts have words of their own"
    if questions.condition == "answer" and spec.copy_source:
        yield "copy_source: with questions.condition answer nothing else is read; take passage"
    if questions.condition == "answer" and spec.coverage:
        yield "coverage: with questions.condition answer there is no passage to go through"
    if questions.condition == "answer" and questions.self_attention != "none":
        yield (
            "questions.self_attention: with questions.condition answer there is no passage to look "
            "round in; take passage"
        )


def _language_model_faults(spec: ModelSpec) -> Iterator[str]:
    for name in ("copy_source", "coverage", "input_feeding", "peeky", "reversed_source"):
        if getattr(spec, name):
            yield f"{name}: a language model (encoder none) has no source"
    if spec.bidirectional and spec.decoder == "recurrent" and spec.window is None:
        yield (
            "bidirectional: a language model that reads both ways needs a window, "
            "or it would see the word it is to say"
        )
    if spec.decoder == "transformer" and spec.window is not None:
        yield "window: a Transformer language model sees the whole text so far"


def _transformer_faults(spec: ModelSpec) -> Iterator[str]:
    if spec.embedding_dim != spec.hidden_dim:
        yield (
            "embedding_dim: a Transformer adds to its embeddings, "
            f"so it must equal hidden_dim ({spec.hidden_dim})"
        )
    if spec.hidden_dim % (2 * spec.heads):
        yield f"heads: hidden_dim ({spec.hidden_dim}) must be a multiple of 2 * {spec.heads}"
    if spec.encoder == "transformer" and spec.encoder_hidden_dim not in (None, spec.hidden_dim):
        yield "encoder_hidden_dim: a Transformer has one width, hidden_dim"
    if spec.encoder == "transformer" and spec.reversed_source:
        yield "reversed_source: a Transformer reads all positions at once"
    if spec.decoder == "transformer":
        for name in ("coverage", "input_feeding", "peeky"):
            if getattr(spec, name):
                yield f"{name}: belongs to a recurrent decoder"
    if spec.decoder == "transformer" and spec.attention_position == "before":
        yield "attention_position: there is no cell to attend before"


def _attention_faults(spec: ModelSpec) -> Iterator[str]:
    if spec.attention == "none":
        for name in ("coverage", "input_feeding", "copy_source"):
            if getattr(spec, name):
                yield f"{name}: needs attention, and attention is none"
        if spec.attention_position == "before":
            yield "attention_position: there is no attention to place before the cell"
    if spec.attention == "dot" and spec.memory_dim != spec.hidden_dim:
        yield (
            f"attention: dot compares equal sizes, and the memory has {spec.memory_dim}, "
            f"the decoder {spec.hidden_dim}; take general"
        )
    if spec.attention_position == "before" and spec.input_feeding:
        yield "input_feeding: attention before the cell feeds its context in already"


def _bridge_faults(spec: ModelSpec) -> Iterator[str]:
    if spec.bridge == "zero" and spec.attention == "none" and not spec.peeky:
        yield "bridge: zero hands nothing over, so the decoder needs attention or peeky to hear"
    if spec.bridge != "last":
        return
    if spec.encoder == "transformer":
        yield "bridge: a Transformer encoder has no last state; take mean"
    elif spec.reads_answers_alone:
        return  # those layers are made to fit
    elif spec.memory_dim != spec.hidden_dim or spec.encoder_layers != spec.decoder_layers:
        yield (
            "bridge: last hands each layer's state over as it is, so the encoder's layers and size "
            f"({spec.encoder_layers} of {spec.memory_dim}) must be the decoder's "
            f"({spec.decoder_layers} of {spec.hidden_dim}); take linear"
        )

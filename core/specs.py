"""Frozen, validated descriptions; each is saved with whatever was made from it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import SpecError


class Spec(BaseModel):
    """A description that never changes once made and refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TokenizerSpec(Spec):
    """How text becomes ids; source and target share one vocabulary."""

    kind: Literal["char", "word", "unigram", "bpe"] = "unigram"
    vocabulary_size: int = Field(default=4000, ge=16, le=64000)
    lower_case: bool = False
    byte_fallback: bool = True  # subwords only: what was never seen is spelled in bytes
    character_coverage: float = Field(default=0.9999, gt=0.9, le=1.0)


class ModelSpec(Spec):
    """An attention encoder-decoder. Attention comes after the cell, as in Luong et al. 2015."""

    cell: Literal["gru", "lstm"] = "gru"
    embedding_dim: int = Field(default=128, ge=4, le=1024)
    hidden_dim: int = Field(default=256, ge=4, le=2048)
    encoder_layers: int = Field(default=1, ge=1, le=4)
    decoder_layers: int = Field(default=1, ge=1, le=4)
    bidirectional: bool = True
    attention: Literal["additive", "general"] = "general"
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    tied_output: bool = True  # the output layer is the embedding, transposed


class TrainSpec(Spec):
    """How a model learns. Durations are in seconds, lengths in tokens."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    batch_size: int = Field(default=64, ge=1, le=4096)
    max_epochs: int = Field(default=30, ge=1, le=100_000)
    time_limit_s: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    warmup_steps: int = Field(default=100, ge=0)
    decay: Literal["constant", "linear", "inverse_sqrt"] = "inverse_sqrt"
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    validate_every: int = Field(default=200, ge=1)  # steps
    patience: int | None = Field(default=5, ge=1)  # validations without a new best, then stop
    keep: Literal["best", "last"] = "best"  # which weights become the checkpoint
    report_every: int = Field(default=20, ge=1)  # steps
    snapshot_every_s: float = Field(default=10.0, ge=0)
    max_source_tokens: int = Field(default=96, ge=1, le=4096)
    max_target_tokens: int = Field(default=96, ge=1, le=4096)


class DecodeSpec(Spec):
    """How a reply is searched for; a beam of 1 is greedy search."""

    beam_size: int = Field(default=4, ge=1, le=16)
    n_best: int = Field(default=1, ge=1, le=16)
    length_penalty: float = Field(default=1.0, ge=0.0, le=2.0)  # score / length ** penalty
    max_tokens: int = Field(default=64, ge=1, le=512)

    @model_validator(mode="after")
    def _no_more_than_the_beam(self) -> "DecodeSpec":
        if self.n_best > self.beam_size:
            raise ValueError(f"n_best ({self.n_best}) cannot exceed beam_size ({self.beam_size})")
        return self


class Plan(Spec):
    """Everything that one training needs to know besides its corpus."""

    task: Literal["chat", "translate"] = "chat"
    context_turns: int = Field(default=1, ge=1, le=16)  # how many turns the model reads
    tokenizer: TokenizerSpec = TokenizerSpec()
    model: ModelSpec = ModelSpec()
    train: TrainSpec = TrainSpec()
    decode: DecodeSpec = DecodeSpec()


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
SpecT = TypeVar("SpecT", bound=Spec)


class TrainJob(Spec):
    """The spec of a job of kind ``train``: enough to repeat it."""

    recipe: str | None = None
    plan: Plan
    promote_to: Name | None = None  # the alias that the checkpoint gets when the job succeeds


def merge(plan: Plan, overrides: dict[str, Any], *, within: str = "") -> Plan:
    """Lay nested ``overrides`` such as ``{"train": {"seed": 2}}`` over ``plan``.

    Raises SpecError naming the first key or value that does not fit, as ``parse`` does.
    """
    return parse(Plan, _overlay(plan.model_dump(), overrides), within=within)


def parse(kind: type[SpecT], data: object, *, within: str = "") -> SpecT:
    """Validate ``data`` as a spec; raises SpecError naming the first field that does not fit.

    ``within`` is where the caller has ``data``, and the field is named from there.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in (within, *first["loc"]) if part != "")
        raise SpecError(f"{field or kind.__name__}: {_reason(kind, first)}", field=field) from error


def _reason(kind: type[Spec], fault: Mapping[str, Any]) -> str:
    if fault["type"] == "extra_forbidden" and (names := _names(kind, fault["loc"][:-1])):
        return f"there is no such key; there is {', '.join(names)}"
    return str(fault["msg"]).removeprefix("Value error, ")


def _names(kind: type[Spec], location: Sequence[Any]) -> list[str]:
    """Return the keys that the spec at ``location`` knows; none if there is no single spec."""
    for part in location:
        inside = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not (isinstance(inside, type) and issubclass(inside, Spec)):
            return []
        kind = inside
    return list(kind.model_fields)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[key] = _overlay(under, value)
        else:
            merged[key] = value
    return merged

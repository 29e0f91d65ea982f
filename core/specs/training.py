"""How a model learns."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from core.specs.base import Spec


class TrainSpec(Spec):
    """How a model learns. Durations are in seconds, lengths in tokens, intervals in steps."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where it is fast

    # What a step learns from
    batch_size: int = Field(default=64, ge=1, le=4096)  # examples, or streams of running text
    batch_tokens: int | None = Field(default=None, ge=1)  # instead: padded tokens, source + target
    accumulate: int = Field(default=1, ge=1, le=256)  # batches to an update
    bptt: int = Field(default=35, ge=1, le=1024)  # running text: steps to a batch
    max_source_tokens: int = Field(default=96, ge=1, le=4096)
    max_target_tokens: int = Field(default=96, ge=1, le=4096)

    # What is made small
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    coverage_weight: float = Field(default=0.0, ge=0)  # See et al. 2017, eq. 13
    forcing: Literal["teacher", "linear", "sigmoid", "free"] = "teacher"
    forcing_steps: int = Field(default=1000, ge=1)  # linear: until only its own words; sigmoid: k

    # How it is made small
    optimiser: Literal["adam", "sgd", "rmsprop"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=100)
    momentum: float = Field(default=0.0, ge=0, lt=1)  # sgd
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    warmup_steps: int = Field(default=100, ge=0)
    decay: Literal["constant", "linear", "inverse_sqrt", "cosine", "plateau"] = "inverse_sqrt"
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    plateau_patience: int = Field(default=1, ge=1)  # validations without a new best, then a drop
    average: Literal["none", "ema", "last", "triggered"] = "none"
    ema_decay: float = Field(default=0.999, gt=0, lt=1)  # ema: weights of a moving average
    average_last: int = Field(default=5, ge=2, le=50)  # last: the weights at so many validations
    average_patience: int = Field(default=5, ge=1)  # triggered: Merity et al. 2018, NT-ASGD

    # When it is looked at, and when it ends
    max_epochs: int = Field(default=30, ge=1, le=100_000)
    time_limit_s: float | None = Field(default=None, gt=0)
    validate_every: int | None = Field(default=200, ge=1)  # none: after each epoch
    score_rows: int = Field(default=0, ge=0)  # held-out examples decoded at each validation
    report_rows: int = Field(default=200, ge=1)  # held-out examples decoded for the report
    patience: int | None = Field(default=5, ge=1)  # validations without a new best, then stop
    keep: Literal["best", "last"] = "best"  # which weights become the checkpoint
    lexicon: int = Field(default=0, ge=0, le=1000)  # words that one of a source calls up; 0: none
    report_every: int = Field(default=20, ge=1)
    snapshot_every_s: float = Field(default=10.0, ge=0)
    keep_snapshots: int = Field(default=2, ge=1, le=100)  # of the newest, while the job is not over

    @model_validator(mode="after")
    def _makes_sense(self) -> "TrainSpec":
        for reason in _faults(self):
            raise ValueError(reason)
        return self


def _faults(spec: TrainSpec) -> Iterator[str]:
    if spec.momentum and spec.optimiser != "sgd":
        yield f"momentum: belongs to sgd, not to {spec.optimiser}"
    if spec.average == "triggered" and spec.optimiser != "sgd":
        yield "average: triggered averaging belongs to sgd; take ema or last"

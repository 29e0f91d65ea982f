"""Everything that one training needs to know besides its corpus."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.specs.base import Spec
from core.specs.decoding import DecodeSpec
from core.specs.model import ModelSpec
from core.specs.serving import ServeSpec
from core.specs.text import TokenizerSpec
from core.specs.training import TrainSpec

Task = Literal["chat", "translate", "summarise", "transform", "language", "questions"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Plan(Spec):
    """Everything that one training needs to know besides its corpus.

    The task says how the result is judged: a transformation by exact match, a language model
    by perplexity, questions by what people asked.
    """

    task: Task = "chat"
    context_turns: int = Field(default=1, ge=1, le=16)  # how many turns the model reads
    tokenizer: TokenizerSpec = TokenizerSpec()
    model: ModelSpec = ModelSpec()
    train: TrainSpec = TrainSpec()
    decode: DecodeSpec = DecodeSpec()
    serve: ServeSpec = ServeSpec()

    @model_validator(mode="after")
    def _makes_sense(self) -> "Plan":
        for reason in _faults(self):
            raise ValueError(reason)
        return self


def _faults(plan: Plan) -> Iterator[str]:
    model, train = plan.model, plan.train
    if (plan.task == "language") != model.is_language_model:
        yield "model.encoder: the task language, and it alone, has a model without an encoder"
    if plan.tokenizer.kind == "closed" and not model.is_language_model:
        yield "tokenizer.kind: closed has no signs for start and end; it is for language models"
    yield from _faults_of_questions(plan)
    if train.forcing != "teacher" and model.is_language_model:
        yield "train.forcing: a language model reads running text, never its own words"
    if train.coverage_weight and model.attention == "none":
        yield "train.coverage_weight: needs attention"
    if train.coverage_weight and (model.is_language_model or model.decoder == "transformer"):
        yield "train.coverage_weight: needs the attention of a recurrent decoder"
    if train.lexicon and (model.is_language_model or model.copy_source):
        kind = "a language model has no source" if model.is_language_model else "a copy may be any"
        yield f"train.lexicon: tells which words a source calls up, and {kind}"
    if plan.serve.shortlist == "on" and not train.lexicon:
        yield "serve.shortlist: needs train.lexicon, the number of words that each word calls up"


def _faults_of_questions(plan: Plan) -> Iterator[str]:
    asks = plan.task == "questions"
    if asks != (plan.model.questions is not None):
        yield "model.questions: belongs to the task questions, which needs it"
    if not asks:
        return
    if plan.context_turns > 1:
        yield "context_turns: a passage is one text"
    if plan.train.lexicon:
        yield "train.lexicon: tells which words a source calls up, and a question is none of it"
    if plan.train.score_rows:
        yield "train.score_rows: questions are only scored in the end; leave it at 0"
    if plan.decode.anti_generic:
        yield "decode.anti_generic: ranks anew what answers a turn, not what asks"


class TrainJob(Spec):
    """The spec of a job of kind ``train``: enough to repeat it."""

    recipe: str | None = None
    plan: Plan
    promote_to: Name | None = None  # the alias that the checkpoint gets when the job succeeds

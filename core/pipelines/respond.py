"""The reply way: asks in, replies out, in batches."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog

from core.data.batches import encode_source, pad_sources
from core.decoding.search import search
from core.errors import InputError, MalgilError, ReplyTimeoutError, SpecError
from core.pipelines.bundle import Bundle, Models
from core.queue.messages import Ask, Candidate, Reply
from core.specs import DecodeSpec, parse
from core.text.stream import TextStream

log = structlog.get_logger()

Send = Callable[[Sequence[tuple[Ask, Reply]]], None]  # hand replies to whoever waits for them


def decode_batch(
    bundle: Bundle,
    contexts: Sequence[Sequence[str]],
    specs: Sequence[DecodeSpec],
    on_token: Callable[[int, int], None] | None = None,
) -> list[list[Candidate]]:
    """Answer each of ``contexts`` (turns, oldest first) by its own spec; best candidate first."""
    plan, tokenizer = bundle.plan, bundle.tokenizer
    limit = plan.train.max_source_tokens
    sources = [encode_source(turns[-plan.context_turns :], tokenizer, limit) for turns in contexts]
    source, mask = pad_sources(sources)
    found = search(bundle.model, source, mask, specs=specs, on_token=on_token)
    return [
        [Candidate(tokenizer.decode(list(one.tokens)), one.score) for one in hypotheses]
        for hypotheses in found
    ]


class Responder:
    """Answers batches of asks with the models that they name."""

    def __init__(
        self,
        *,
        models: Models,
        resolve: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``resolve`` turns an alias or id into a checkpoint id; ``clock`` gives Unix seconds."""
        self._models = models
        self._resolve = resolve
        self._clock = clock

    def answer(self, asks: Sequence[tuple[Ask, float]], send: Send) -> None:
        """Answer ``asks``, each with the Unix time of its arrival; every one gets an end.

        Asks past their deadline are dropped before they cost anything. Those that name the
        same checkpoint share a batch, whatever their other options.
        """
        groups: dict[str, list[tuple[Ask, float]]] = defaultdict(list)
        for ask, arrived in asks:
            if self._clock() >= ask.deadline:
                late = ReplyTimeoutError("the deadline passed while the ask was waiting")
                send([(ask, _failed(ask, late))])
                continue
            try:
                groups[self._resolve(ask.model)].append((ask, arrived))
            except MalgilError as error:
                send([(ask, _failed(ask, error))])
        for checkpoint, group in groups.items():
            self._answer_group(checkpoint, group, send)

    def _answer_group(
        self, checkpoint: str, group: Sequence[tuple[Ask, float]], send: Send
    ) -> None:
        """Answer asks of one checkpoint together; if that breaks, each by itself."""
        try:
            send(self._decode(checkpoint, group, send))
        except Exception as error:
            if len(group) > 1:
                for one in group:
                    self._answer_group(checkpoint, [one], send)
                return
            if not isinstance(error, MalgilError):
                log.exception("an ask failed", ask=group[0][0].id, checkpoint=checkpoint)
            send([(group[0][0], _failed(group[0][0], error))])

    def _decode(
        self, checkpoint: str, group: Sequence[tuple[Ask, float]], send: Send
    ) -> list[tuple[Ask, Reply]]:
        began = self._clock()
        bundle = self._models.get(checkpoint)
        specs = [decode_spec(bundle, ask) for ask, _ in group]
        streams = {
            row: TextStream(bundle.tokenizer) for row, (ask, _) in enumerate(group) if ask.stream
        }

        def on_token(row: int, token: int) -> None:
            if row in streams and (piece := streams[row].push(token)):
                send([(group[row][0], Reply(id=group[row][0].id, piece=piece))])

        contexts = [ask.turns for ask, _ in group]
        answers = decode_batch(bundle, contexts, specs, on_token if streams else None)
        for row, stream in streams.items():
            if piece := stream.flush():
                send([(group[row][0], Reply(id=group[row][0].id, piece=piece))])
        spent_ms = (self._clock() - began) * 1e3
        return [
            (
                ask,
                Reply(
                    id=ask.id,
                    candidates=tuple(candidates),
                    model_ms=spent_ms,
                    queue_ms=(began - arrived) * 1e3,
                    batch=len(group),
                    checkpoint=checkpoint,
                ),
            )
            for (ask, arrived), candidates in zip(group, answers, strict=True)
        ]


def decode_spec(bundle: Bundle, ask: Ask) -> DecodeSpec:
    """Lay the options of ``ask`` over those of its model; raises SpecError naming the field."""
    chosen = {**bundle.plan.decode.model_dump(), **ask.decode}
    if "n_best" in ask.decode and "beam_size" not in ask.decode:
        chosen["beam_size"] = max(chosen["beam_size"], chosen["n_best"])
    elif "beam_size" in ask.decode and "n_best" not in ask.decode:
        chosen["n_best"] = min(chosen["n_best"], chosen["beam_size"])
    try:
        return parse(DecodeSpec, chosen)
    except SpecError as error:
        raise SpecError(str(error), field=f"decode.{error.field}") from error


def _failed(ask: Ask, error: Exception) -> Reply:
    known = isinstance(error, MalgilError)
    return Reply(
        id=ask.id,
        error=type(error).__name__ if known else MalgilError.__name__,
        message=str(error) if known else "the model failed on this input",
        field=error.field if isinstance(error, InputError) else None,
    )

"""The reply way: asks in, replies out, in batches."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog

from core.data.batches import pad_sources
from core.data.running import SENTENCE_END
from core.decoding.rescoring import without_the_generic
from core.decoding.search import search
from core.decoding.step import SIGNS, StepModel
from core.errors import InputError, MalgilError, NotFoundError, ReplyTimeoutError
from core.models.language_model import last_words
from core.pipelines.bundle import Bundle
from core.queue.messages import Ask, Candidate, Reply
from core.specs import DecodeSpec, parse
from core.text.kinds import TextTokenizer
from core.text.stream import TextStream
from core.text.tokenizer import PAD
from core.text.vocabulary import Vocabulary, read_source

log = structlog.get_logger()

Send = Callable[[Sequence[tuple[Ask, Reply]]], None]  # hand replies to whoever waits for them


def decode_batch(
    bundle: Bundle,
    contexts: Sequence[Sequence[str]],
    specs: Sequence[DecodeSpec],
    on_piece: Callable[[int, str], None] | None = None,
) -> list[list[Candidate]]:
    """Answer each of ``contexts`` (turns, oldest first) by its own spec; best candidate first.

    A language model does not answer but goes on: what it says comes after the last turn.
    ``on_piece`` hears (row, text) as the text of a row becomes certain, piece by piece.
    """
    read = [_read(bundle, turns) for turns in contexts]
    device = next(bundle.model.parameters()).device
    source, mask = (part.to(device) for part in pad_sources([ids for ids, _ in read]))
    streams = [TextStream(vocabulary) for _, vocabulary in read]

    def tell(row: int, piece: str) -> None:
        if on_piece and piece:
            on_piece(row, piece)

    def on_token(row: int, token: int) -> None:
        if not specs[row].anti_generic:  # else nothing is certain before all is ranked anew
            tell(row, streams[row].push(token))

    model = cast("StepModel[Any]", bundle.model)
    found = search(
        model,
        source,
        mask,
        specs=[_whole_beam(spec) for spec in specs],
        on_token=on_token if on_piece else None,
        banned=[
            vocabulary.skip_ids(spec.skip)
            for (_, vocabulary), spec in zip(read, specs, strict=True)
        ],
        first=last_words(source, mask) if bundle.plan.model.is_language_model else None,
        end=_end(bundle.tokenizer),
        signs=(PAD,) if bundle.tokenizer.end is None else SIGNS,
    )
    found = without_the_generic(model, found, specs, device=device)
    for row, stream in enumerate(streams):
        for token in found[row][0].tokens if specs[row].anti_generic else ():
            tell(row, stream.push(token))
        tell(row, stream.flush())
    return [
        [Candidate(vocabulary.decode(one.tokens), one.score) for one in some[: spec.n_best]]
        for (_, vocabulary), some, spec in zip(read, found, specs, strict=True)
    ]


def _whole_beam(spec: DecodeSpec) -> DecodeSpec:
    """Ask for all that a beam holds where it is ranked anew."""
    return spec.model_copy(update={"n_best": spec.beam_size}) if spec.anti_generic else spec


def _read(bundle: Bundle, turns: Sequence[str]) -> tuple[list[int], Vocabulary]:
    """Return the ids that the model is to read, and what turns its answer into text.

    A language model hears an end before a text that has no beginning yet.
    """
    plan = bundle.plan
    ids, vocabulary = read_source(
        turns[-plan.context_turns :],
        bundle.tokenizer,
        max_tokens=plan.train.max_source_tokens,
        copied=plan.model.copy_source,
    )
    end = _end(bundle.tokenizer)
    if plan.model.is_language_model and not ids and end is not None:
        return [end], vocabulary
    return ids, vocabulary


def _end(tokenizer: TextTokenizer) -> int | None:
    """Return the id that ends an answer; a closed vocabulary may have a word for that."""
    if tokenizer.end is not None:
        return tokenizer.end
    return next(iter(tokenizer.skip_ids([SENTENCE_END])), None)


class Responder:
    """Answers batches of asks with the models that they name."""

    def __init__(
        self,
        *,
        bundle_of: Callable[[str], Bundle],
        resolve: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``resolve`` turns an alias or id into a checkpoint id, ``bundle_of`` that into a model.

        ``clock`` gives Unix seconds.
        """
        self._bundle_of = bundle_of
        self._resolve = resolve
        self._clock = clock

    def warm_up(self, names: Sequence[str]) -> None:
        """Read the models called ``names`` before anybody asks; one that cannot be is left out."""
        for name in names:
            try:
                self._bundle_of(self._resolve(name))
            except MalgilError as error:
                log.warning("a model cannot be made ready", model=name, reason=str(error))

    def answer(self, asks: Sequence[tuple[Ask, float]], send: Send) -> None:
        """Answer ``asks``, each with the Unix time of its arrival; every one gets an end.

        Asks past their deadline are dropped before they cost anything. Those that name the
        same checkpoint share a batch, whatever their other options.
        """
        groups: dict[str, list[_Waiting]] = defaultdict(list)
        for ask, arrived in asks:
            try:
                checkpoint, spec = self._admit(ask)
            except Exception as error:
                send([(ask, _failed(ask, error))])
                continue
            groups[checkpoint].append(_Waiting(ask, arrived, spec))
        for checkpoint, group in groups.items():
            self._answer_group(checkpoint, group, send)

    def _admit(self, ask: Ask) -> tuple[str, DecodeSpec]:
        """Return checkpoint and options of ``ask``; raises what is wrong with it."""
        if self._clock() >= ask.deadline:
            raise ReplyTimeoutError("the deadline passed while the ask was waiting")
        checkpoint = self._resolve(ask.model)
        return checkpoint, decode_spec(self._bundle_of(checkpoint).plan.decode, ask)

    def _answer_group(self, checkpoint: str, group: Sequence["_Waiting"], send: Send) -> None:
        """Answer asks of one checkpoint together; if that breaks, each by itself."""
        try:
            send(self._decode(checkpoint, group, send))
        except Exception as error:
            for one in group:
                if len(group) == 1 or one.begun:  # nobody hears the start of a reply twice
                    send([(one.ask, _failed(one.ask, error))])
                else:
                    self._answer_group(checkpoint, [one], send)

    def _decode(
        self, checkpoint: str, group: Sequence["_Waiting"], send: Send
    ) -> list[tuple[Ask, Reply]]:
        began = self._clock()
        bundle = self._bundle_of(checkpoint)

        def tell(row: int, piece: str) -> None:
            if group[row].ask.stream:
                group[row].begun = True
                send([(group[row].ask, Reply(id=group[row].ask.id, piece=piece))])

        streamed = any(one.ask.stream for one in group)
        contexts, specs = [one.ask.turns for one in group], [one.spec for one in group]
        answers = decode_batch(bundle, contexts, specs, tell if streamed else None)
        spent_ms = (self._clock() - began) * 1e3
        return [
            (
                one.ask,
                Reply(
                    id=one.ask.id,
                    candidates=tuple(candidates),
                    model_ms=spent_ms,
                    queue_ms=(began - one.arrived) * 1e3,
                    batch=len(group),
                    checkpoint=checkpoint,
                ),
            )
            for one, candidates in zip(group, answers, strict=True)
        ]


@dataclass(slots=True)
class _Waiting:
    """An ask on its way through a batch."""

    ask: Ask
    arrived: float  # Unix seconds
    spec: DecodeSpec
    begun: bool = False  # whether a piece of its reply has been sent


def decode_spec(own: DecodeSpec, ask: Ask) -> DecodeSpec:
    """Lay the options of ``ask`` over the model's ``own``; raises SpecError naming the field.

    What was asked for decides about the rest: whoever wants several answers gets a beam, and
    whoever wants words drawn by chance gets none.
    """
    asked = ask.decode
    chosen = {**own.model_dump(), **asked}
    if "temperature" in asked:
        chosen |= {"beam_size": asked.get("beam_size", 1), "n_best": asked.get("n_best", 1)}
    elif max(asked.get("beam_size", 1), asked.get("n_best", 1)) > 1:
        chosen["temperature"] = None
    if "n_best" in asked and "beam_size" not in asked:
        chosen["beam_size"] = max(chosen["beam_size"], chosen["n_best"])
    elif "beam_size" in asked and "n_best" not in asked:
        chosen["n_best"] = min(chosen["n_best"], chosen["beam_size"])
    if chosen["beam_size"] == 1 and "anti_generic" not in asked:
        chosen["anti_generic"] = 0.0
    return parse(DecodeSpec, chosen, within="decode")


def _failed(ask: Ask, error: Exception) -> Reply:
    """Return the end of ``ask`` that raises ``error`` again where it is waited for."""
    if not isinstance(error, MalgilError):
        log.error("an ask failed", ask=ask.id, model=ask.model, exc_info=error)
        message = "the model failed on this input"
        return Reply(id=ask.id, error=MalgilError.__name__, message=message)
    return Reply(
        id=ask.id,
        error=type(error).__name__,
        message=error.name if isinstance(error, NotFoundError) else str(error),
        field=error.field if isinstance(error, InputError) else None,
    )

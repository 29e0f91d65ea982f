"""Encoded passages with questions, compact in memory or on disk, and the tensors a model takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.arrays import Lengths, Ragged, RaggedWriter
from core.data.batches import framed_batch, pad_sources
from core.data.examples import Passage
from core.data.marks import with_answer
from core.data.readings import Reading, stretches_of
from core.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPassages:
    """Passages that somebody asks about, and the questions in their order.

    Question i is about the tokens ``spans[p][2 k]`` to ``spans[p][2 k + 1]`` of passage p, if
    ``offsets[p] + k`` is i.
    """

    source: Ragged  # marked, as ``core.data.marks`` makes them
    spans: Ragged  # first and last token of each answer
    questions: Ragged  # ids, without BOS, EOS or padding
    left_out: int = 0  # questions whose answer is cut in two, or stands in no token

    @classmethod
    def encode(
        cls,
        passages: Iterable[Passage],
        tokenizer: Tokenizer,
        *,
        max_source_tokens: int,
        max_target_tokens: int,
        copy_source: bool = False,
        directory: Path | None = None,
    ) -> "EncodedPassages":
        """Encode ``passages`` one by one, each question with the answer given most often.

        A passage that is too long is cut into stretches; of a question the beginning is kept.
        With a ``directory``, the arrays are .npy files in it, mapped and not read.
        """
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        left_out = 0
        with (
            RaggedWriter(directory, "source") as sources,
            RaggedWriter(directory, "spans") as spans,
            RaggedWriter(directory, "questions") as questions,
        ):
            for passage in passages:
                kept = 0
                for reading in stretches_of(
                    passage.context, tokenizer, copied=copy_source, longest=max_source_tokens
                ):
                    found = _answered(passage, reading)
                    if not found:
                        continue
                    kept += len(found)
                    sources.add(reading.source.tolist())
                    spans.add([token for _, first, last in found for token in (first, last)])
                    for text, _, _ in found:
                        asked = reading.question(text, tokenizer)
                        questions.add(asked[:max_target_tokens])
                left_out += sum(bool(one.answers) for one in passage.questions) - kept
            return cls(
                source=sources.finish(),
                spans=spans.finish(),
                questions=questions.finish(),
                left_out=left_out,
            )

    def __len__(self) -> int:
        return len(self.source)

    @property
    def source_lengths(self) -> Lengths:
        """How many tokens each passage has, (P,)."""
        return self.source.lengths

    @property
    def question_lengths(self) -> Lengths:
        """How many tokens all questions about each passage have together, (P,)."""
        sums = np.concatenate([[0], np.cumsum(self.questions.lengths)])
        return np.diff(sums[self.spans.offsets // 2]).astype(np.int32)

    @property
    def tokens(self) -> int:
        """How many tokens are to be said, ends included."""
        return int(self.questions.lengths.sum()) + len(self.questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageBatch:
    """Some passages side by side, and all questions about them.

    Sizes: B passages, S source steps, N questions, T target steps, G spans that are answers.
    """

    source: Tensor  # (B, S) marked ids, padded with 0 on the right
    source_mask: Tensor  # (B, S), True at real tokens, at least one in each row
    golds: Tensor  # (G, 3): passage, first and last token; no span comes twice
    of: Tensor  # (N,): the passage of each question
    asked: Tensor  # (N, S): its source, with the answer marked
    spans: Tensor  # (N, 2): first and last token of the answer
    target: Tensor  # (N, T + 1) ids: BOS, the tokens, EOS, PAD
    target_mask: Tensor  # (N, T + 1), True at all but PAD


def collate(encoded: EncodedPassages, rows: Iterable[int]) -> PassageBatch:
    """Put the passages ``rows`` of ``encoded``, and what is asked about them, into tensors."""
    chosen = [int(row) for row in rows]
    sources = [encoded.source[row].astype(np.int64) for row in chosen]
    spans = [encoded.spans[row].reshape(-1, 2) for row in chosen]
    firsts = [int(encoded.spans.offsets[row]) // 2 for row in chosen]
    questions = [
        encoded.questions[first + number]
        for first, answers in zip(firsts, spans, strict=True)
        for number in range(len(answers))
    ]
    asked = [
        with_answer(source, *map(int, answer))
        for source, answers in zip(sources, spans, strict=True)
        for answer in answers
    ]
    source, source_mask = pad_sources(sources)
    target, target_mask = framed_batch(questions)
    counts = [len(answers) for answers in spans]
    return PassageBatch(
        source=source,
        source_mask=source_mask,
        golds=_golds(spans),
        of=torch.arange(len(chosen)).repeat_interleave(torch.tensor(counts)),
        asked=pad_sources(asked)[0],
        spans=torch.from_numpy(np.concatenate(spans).astype(np.int64)),
        target=target,
        target_mask=target_mask,
    )


def _answered(passage: Passage, reading: Reading) -> list[tuple[str, int, int]]:
    """Return the questions whose answer stands in ``reading``: text, first and last token."""
    found = []
    located = reading.located
    for one in passage.questions:
        answer = one.answer
        if answer is None or not len(located):
            continue
        if answer.start < located.starts[0] or located.ends[-1] < answer.end:
            continue
        tokens = located.tokens(answer.start, answer.end)
        if tokens is not None:
            found.append((one.question, *tokens))
    return found


def _golds(spans: Sequence[NDArray[np.int32]]) -> Tensor:
    distinct = [
        (row, *span)
        for row, answers in enumerate(spans)
        for span in dict.fromkeys((int(first), int(last)) for first, last in answers)
    ]
    return torch.tensor(distinct, dtype=torch.int64).view(-1, 3)

"""A network that proposes answers in a passage, asks about them, and finds them again.

Sizes: B passages, N questions, S source steps, T steps of a question, L tokens of the longest
answer.
"""

from collections.abc import Collection, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.asking import PassageBatch
from core.data.batches import Batch
from core.data.marks import unmarked
from core.models.generators import Generator, Measure
from core.models.learner import LossOptions, LossTerms
from core.models.passages import AnswerEncoder, PassageEncoder
from core.models.proposers import Proposer
from core.models.reader import SpanReader, spans_between
from core.models.seq2seq import Seq2Seq
from core.models.states import State


class Asker(nn.Module):
    """Three parts with one vocabulary: a proposer of answers, a writer of questions, a reader.

    ``losses`` is the sum of theirs. For decoding it is its writer, over sources in which an
    answer is marked (``core.data.marks``); ``propose`` and ``find`` are what the others do.
    """

    def __init__(
        self,
        *,
        passage: PassageEncoder,  # what the proposer sees
        proposer: Proposer,
        writer: Seq2Seq,  # its encoder reads marked ids
        reader: SpanReader,
        longest_answer: int,
        proposal_weight: float,
        reading_weight: float,
        separate: bool,
    ) -> None:
        super().__init__()
        self.passage = passage
        self.proposer = proposer
        self.writer = writer
        self.reader = reader
        self.longest_answer = longest_answer
        self.proposal_weight = proposal_weight
        self.reading_weight = reading_weight
        self.separate = separate

    def with_writer(self, writer: Seq2Seq) -> "Asker":
        """Return the same with another ``writer``; all else is shared."""
        return Asker(
            passage=self.passage,
            proposer=self.proposer,
            writer=writer,
            reader=self.reader,
            longest_answer=self.longest_answer,
            proposal_weight=self.proposal_weight,
            reading_weight=self.reading_weight,
            separate=self.separate,
        )

    @property
    def generator(self) -> Generator:
        """The output layer of the writer."""
        return self.writer.generator

    @property
    def tells_attention(self) -> bool:
        """Whether a step says where it looked."""
        return self.writer.tells_attention

    def parts(self) -> list[list[nn.Parameter]]:
        """Return what is learned, by what is clipped together: each part for itself if separate."""
        if not self.separate:
            return [list(self.parameters())]
        proposing = [*self.passage.parameters(), *cast(nn.Module, self.proposer).parameters()]
        return [proposing, list(self.writer.parameters()), list(self.reader.parameters())]

    def losses(
        self, batch: PassageBatch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        """Return how wrong the parts are on ``batch``.

        The words of questions count one by one. What else there is counts as a mean for each
        passage and each question, times as many words as its questions have; so all parts weigh
        alike, and batches add up. ``nll`` is that of all three, without smoothing.
        """
        memory = self.passage(batch.source, batch.source_mask).memory
        written = self._write(batch, options, memory)
        lengths = batch.target_mask[:, 1:].sum(1)  # (N,)
        words = lengths.new_zeros(len(batch.source)).index_add_(0, batch.of, lengths)  # (B,)
        proposed = (self.proposer.losses(memory, batch.source_mask, batch.golds) * words).sum()
        read = (self._read(batch) * lengths).sum()
        rest = self.proposal_weight * proposed + self.reading_weight * read
        return LossTerms(
            total=written.total + rest,
            nll=written.nll + rest.detach(),
            tokens=written.tokens,
            carry=carry,
        )

    def written(self, batch: PassageBatch) -> LossTerms:
        """Return how wrong the writer alone is."""
        memory = self.passage(batch.source, batch.source_mask).memory
        return self._write(batch, LossOptions(), memory)

    def propose(self, source: Tensor, mask: Tensor) -> Tensor:
        """Return log p (B, S, L) that something is asked about each span of ``source`` (B, S)."""
        return self.proposer.scores(self.passage(source, mask).memory, mask)

    def find(self, source: Tensor, mask: Tensor, question: Tensor, question_mask: Tensor) -> Tensor:
        """Return log p (N, S, L) that each span of ``source`` (N, S) answers ``question`` (N, T).

        The question's ids are those that its words have beside that source.
        """
        first, last = self.reader(source, mask, question, question_mask)
        return spans_between(first, last, self.longest_answer)

    def start(self, source: Tensor, source_mask: Tensor) -> State:
        """Read ``source`` (B, S), in which an answer is marked."""
        encoded = self.writer.encoder(source, source_mask)
        return self.writer.start_from(encoded, unmarked(source).words, source_mask)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor | None, State]:
        """Append ``tokens`` (B,), as ``Seq2Seq.step`` does."""
        return self.writer.step(tokens, state)

    def best(
        self, tokens: Tensor, state: State, never: Tensor, measure: Measure | None
    ) -> tuple[Tensor, Tensor, Tensor | None, State]:
        """Find what is likeliest to come next, as ``Seq2Seq.best`` does."""
        return self.writer.best(tokens, state, never, measure)

    def permit(self, state: State, words: Sequence[Collection[int] | None]) -> State:
        """Let rows say ``words`` besides: any word may be said as it is."""
        return self.writer.permit(state, words)

    def select(self, state: State, rows: Tensor) -> State:
        """Keep ``rows`` of ``state``, in their order, repeats allowed."""
        return self.writer.select(state, rows)

    def join(self, states: Sequence[State]) -> State:
        """Return one state with the rows of all, one state behind the other."""
        return self.writer.join(states)

    def _write(self, batch: PassageBatch, options: LossOptions, memory: Tensor) -> LossTerms:
        """Ask all questions; ``memory`` (B, S, M) is what the proposer sees."""
        mask = batch.source_mask[batch.of]
        pairs = Batch(
            source=unmarked(batch.asked).words,
            source_mask=mask,
            target=batch.target,
            target_mask=batch.target_mask,
        )
        encoder = self.writer.encoder
        if isinstance(encoder, AnswerEncoder):  # marks are not read there: once for all questions
            if encoder.passage is not self.passage:
                memory = encoder.passage(batch.source, batch.source_mask).memory
            encoded = encoder.at_answers(memory.index_select(0, batch.of), batch.asked)
        else:
            encoded = encoder(batch.asked, mask)
        return self.writer.losses_from(encoded, pairs, options)

    def _read(self, batch: PassageBatch) -> Tensor:
        """Return -log p (N,) of the ends of each answer, of both the mean."""
        width = max(batch.target.size(1) - 2, 1)
        words = batch.target[:, 1 : 1 + width]  # a question without words is its end
        mask = functional.pad(batch.target_mask[:, 2:], (0, 1))[:, :width]
        mask = mask | (torch.arange(width, device=mask.device) == 0)
        first, last = self.reader(batch.asked, batch.source_mask[batch.of], words, mask)
        ends: Tensor = first.gather(1, batch.spans[:, :1]) + last.gather(1, batch.spans[:, 1:])
        return -ends.squeeze(1) / 2

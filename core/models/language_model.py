"""The language model: it has read a text so far and says how it goes on.

Sizes: B rows, T steps, S steps of a prompt, N positions that are asked, V vocabulary.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from core.data.texts import TextBatch
from core.models.generators import Generator
from core.models.learner import LossOptions, LossTerms
from core.models.precision import widened
from core.models.text_readers import TextReader, TextState


class LanguageModel(nn.Module):
    """A vocabulary around whatever reads a text.

    ``losses`` is all that training does; ``start``, ``step``, ``select`` and ``join`` are all that
    decoding uses, with the prompt as the source and its last word as the first that is heard.
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        reader: TextReader,
        generator: Generator,
        dropout: nn.Module,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.reader = reader
        self.generator = generator
        self.dropout = dropout

    @property
    def tells_attention(self) -> bool:
        """Whether a step says where it looked: there is no source."""
        return False

    def losses(
        self, batch: TextBatch, options: LossOptions, carry: tuple[Tensor, ...] = ()
    ) -> LossTerms:
        """Return how wrong the model is on ``batch``, whose ``carry`` is what the last one left.

        A model that sees a window tells of the last step alone, and is asked for no other.
        """
        embedded = self.dropout(self.embedding(batch.tokens))  # (B, T, E)
        features, state = self.reader(embedded, self.reader.resume(carry))
        told = features.size(1)
        gold, mask = batch.gold[:, -told:], batch.mask[:, -told:]
        total, nll = self.generator.losses(features[mask], gold[mask], options.label_smoothing)
        return LossTerms(total=total, nll=nll, tokens=int(mask.sum()), carry=state.carry)

    def start(self, source: Tensor, source_mask: Tensor) -> TextState:
        """Read the prompts ``source`` (B, S) but for the last word of each, which steps begin with.

        ``source_mask`` (B, S) is True at real words, which come first; each row has one at least.
        """
        return self.reader.prompt(self.embedding(source), source_mask)

    def step(self, tokens: Tensor, state: TextState) -> tuple[Tensor, None, TextState]:
        """Append ``tokens`` (B,); return logits (B, V) of what comes next, None, and the state.

        Logits are scores as they are, never halves. None: there is no source to look at.
        """
        features, after = self.reader(self.embedding(tokens.unsqueeze(1)), state)
        return widened(self.generator(features[:, -1])), None, after

    def select(self, state: TextState, rows: Tensor) -> TextState:
        """Keep ``rows`` of ``state``, in their order, repeats allowed."""
        return state.select(rows)

    def join(self, states: Sequence[TextState]) -> TextState:
        """Return one state with the rows of all, one state behind the other."""
        first, *others = states
        return first.join(others) if others else first


def last_words(prompts: Tensor, mask: Tensor) -> Tensor:
    """Return the last real word (B,) of each of ``prompts`` (B, S): what decoding hears first."""
    return prompts.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)

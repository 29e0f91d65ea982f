"""Decoding of rows that are all there: the engine, from the first to the last step."""

from collections.abc import Sequence

from torch import Tensor

from core.decoding.engine import Ended, Engine, Failed, Request, Told
from core.decoding.step import Hypothesis, OnToken, StateT, StepModel, Wish


def search(
    model: StepModel[StateT],
    source: Tensor,
    source_mask: Tensor,
    *,
    wishes: Sequence[Wish],
    on_token: OnToken | None = None,
) -> list[list[Hypothesis]]:
    """Decode each row of ``source`` (B, S) as it wishes, all at once; best hypothesis first.

    ``on_token`` hears (row, token) as soon as a token of a row is certain. Raises what was wrong
    with the first row that failed.
    """
    everything = 1 << 62
    engine = Engine(model, device=source.device, max_lines=everything, max_tokens=everything)
    for row, wish in enumerate(wishes):
        ids = source[row][source_mask[row]].tolist()
        engine.submit(Request(key=row, source=tuple(ids), wish=wish))
    answers: dict[int, list[Hypothesis]] = {}
    while not engine.idle:
        for event in engine.step():
            match event:
                case Told(row, tokens) if on_token is not None:
                    for token in tokens:
                        on_token(row, token)
                case Ended(row, hypotheses):
                    answers[row] = hypotheses
                case Failed(_, error):
                    raise error
    return [answers[row] for row in range(len(wishes))]

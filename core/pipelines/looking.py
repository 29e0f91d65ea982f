"""Where a model looked in the source for each piece that it said."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch

from core.data.batches import pad_sources
from core.data.examples import Exchange
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle
from core.text.tokenizer import BOS, EOS, UNK
from core.text.vocabulary import read_source

MAPS = 4
LONGEST = 30  # pieces of either side: longer ones make no picture
DIGITS = 3


def attention_maps(
    bundle: Bundle, rows: Sequence[Exchange], outputs: Sequence[str]
) -> list[dict[str, Any]]:
    """Return pieces of source and output, and weights (T, S), of some ``rows``.

    The output is read again with teacher forcing, so a map shows where the model looked before
    each of its own pieces, and at the end sign. Empty where it attends to nothing.
    """
    return list(islice(_maps(bundle, rows, outputs), MAPS))


def _maps(
    bundle: Bundle, rows: Sequence[Exchange], outputs: Sequence[str]
) -> Iterator[dict[str, Any]]:
    model, tokenizer, plan = bundle.model, bundle.tokenizer, bundle.plan
    if not isinstance(model, Seq2Seq):
        return
    device = next(model.parameters()).device
    for row, output in zip(rows, outputs, strict=True):
        ids, vocabulary = read_source(
            row.context[-plan.context_turns :],
            tokenizer,
            max_tokens=plan.train.max_source_tokens,
            copied=plan.model.copy_source,
        )
        said = vocabulary.encode(output)
        if not said or max(len(ids), len(said) + 1) > LONGEST:
            continue
        source, mask = (part.to(device) for part in pad_sources([ids]))
        words = torch.tensor([[BOS, *said]], device=device)
        with torch.inference_mode():
            weights = model.read(source, mask, words).attention
        if weights is None:
            return
        yield {
            "source": vocabulary.pieces(ids or [UNK]),
            "output": vocabulary.pieces([*said, EOS]),
            "weights": [[round(one, DIGITS) for one in line] for line in weights[0].tolist()],
        }

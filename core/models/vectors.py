"""Word vectors from a file, as the beginning of what a network knows of its words."""

import torch
from torch import nn

from core.errors import InputError
from core.text.vectors import WordVectors


def place_vectors(network: nn.Module, vectors: WordVectors, *, freeze: bool) -> int:
    """Write ``vectors`` into every embedding over the vocabulary; return how many words got one.

    Pieces that were not found keep their fresh vector. ``freeze`` keeps all of the embedding as
    it then is; what is tied to it stays too. Raises InputError where the sizes do not fit.
    """
    count, dim = vectors.matrix.shape
    embeddings = [
        part
        for part in network.modules()
        if isinstance(part, nn.Embedding) and part.num_embeddings == count
    ]
    if not embeddings or any(part.embedding_dim != dim for part in embeddings):
        sizes = ", ".join(f"{part.num_embeddings} of {part.embedding_dim}" for part in embeddings)
        raise InputError(
            f"{count} vectors of {dim} numbers do not fit the embeddings: {sizes or 'none'}.",
            field="vectors",
        )
    rows = torch.from_numpy(vectors.found)
    values = torch.from_numpy(vectors.matrix)
    with torch.no_grad():
        for part in embeddings:
            mask, given = rows.to(part.weight.device), values.to(part.weight)
            part.weight.copy_(torch.where(mask.unsqueeze(1), given, part.weight))
            part.weight.requires_grad_(not freeze)
    return int(rows.sum())

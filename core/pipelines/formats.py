"""What checkpoints of earlier formats called their weights, and how they are read today."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from core.errors import BundleError

FORMATS = ("malgil-1", "malgil-2")  # oldest first; the last one is written
PART = re.compile(r"(?P<owner>.+)\.rnn\.(?P<part>\w+)_l(?P<layer>\d+)(?P<reverse>_reverse)?")


def present(weights: Mapping[str, Tensor], form: str) -> dict[str, Tensor]:
    """Return ``weights`` of the format ``form`` under the names, and in the shapes, of today.

    Raises BundleError where a recurrent layer is not whole.
    """
    return _from_first(weights) if form == FORMATS[0] else dict(weights)


def _from_first(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert what torch.nn's own GRU and LSTM learned, and one embedding for both sides."""
    recurrences: dict[str, dict[str, Tensor]] = {}
    converted: dict[str, Tensor] = {}
    for name, value in weights.items():
        if match := PART.fullmatch(name):
            direction = 1 if match["reverse"] else 0
            path = f"{match['owner']}.stack.layers.{match['layer']}.directions.{direction}"
            recurrences.setdefault(path, {})[match["part"]] = value
        else:
            converted[f"source_{name}" if name == "embedding.weight" else name] = value
    for path, parts in recurrences.items():
        converted |= {f"{path}.{name}": value for name, value in _recurrence(path, parts).items()}
    return converted


def _recurrence(path: str, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert one layer in one direction: where two biases only ever met as a sum, keep that."""
    try:
        weight_hidden, input_bias = parts["weight_hh"], parts["bias_ih"]
        converted = {"weight_input": parts["weight_ih"], "weight_hidden": weight_hidden}
        hidden_bias = parts["bias_hh"]
    except KeyError as error:
        raise BundleError(f"the checkpoint is incomplete: {path} has no {error}") from error
    hidden_dim = weight_hidden.size(-1)
    if weight_hidden.size(0) != 3 * hidden_dim:  # an LSTM
        return converted | {"bias": input_bias + hidden_bias}
    summed, candidate = torch.split(hidden_bias, [2 * hidden_dim, hidden_dim])
    bias = input_bias + torch.cat([summed, torch.zeros_like(candidate)])
    return converted | {"bias": bias, "bias_candidate": candidate}

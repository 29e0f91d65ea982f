"""A network that is given its weights instead of drawing them: opening a model takes no chance."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from core.errors import BundleError
from core.models.build import Network, build
from core.specs import ModelSpec

_DRAWS = frozenset({"normal_", "uniform_"})


class _WithoutChance(TorchFunctionMode):
    """Draw nothing: where there are no numbers, torch loads 800 modules before it finds that out.

    What is drawn into is returned as it is.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


def build_with(spec: ModelSpec, weights: Mapping[str, Tensor], *, vocabulary_size: int) -> Network:
    """Make the network that ``spec`` describes out of ``weights``, which it holds and never copies.

    Raises BundleError where names or shapes differ.
    """
    with torch.device("meta"), _WithoutChance():
        network = build(spec, vocabulary_size=vocabulary_size)
    blank = dict(network.named_parameters())
    if blank.keys() != weights.keys():
        odd = sorted(blank.keys() ^ weights.keys())
        raise BundleError(f"the weights do not fit the model: {', '.join(odd[:3])}")
    given: dict[nn.Parameter, nn.Parameter] = {}
    for name, parameter in blank.items():
        value = weights[name]
        if parameter.shape != value.shape:
            raise BundleError(f"the weights do not fit the model: shape of {name}")
        given[parameter] = nn.Parameter(value.to(parameter.dtype), parameter.requires_grad)
    for part in network.modules():
        for name, held in part.named_parameters(recurse=False, remove_duplicate=False):
            setattr(part, name, given[held])  # one that is shared has several names
    return network

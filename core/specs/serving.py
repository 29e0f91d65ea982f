"""What a model is made of while it answers."""

from typing import Literal

from core.specs.base import Spec

ServingPrecision = Literal["auto", "fp32", "bf16", "int8"]


class ServeSpec(Spec):
    """What a model is made of while it answers; what it was trained in does not matter."""

    precision: ServingPrecision = "auto"  # of the weights in products: what this CPU is good at
    # Whether a reply without a beam is made of words that its source calls up, as
    # ``train.lexicon`` learned them; auto: if the precision is not to be fp32
    shortlist: Literal["auto", "on", "off"] = "auto"

"""A model that was taught nothing, but says something else to everything, at some length."""

import torch

from core.models.build import build
from core.pipelines.bundle import Bundle
from core.text.tokenizer import Tokenizer
from tests.core.pipelines.small import SAID, small_plan


def untaught_bundle() -> Bundle:
    """Return it with the small plan, and the letters of what is said there."""
    plan = small_plan()
    tokenizer = Tokenizer.train([text for pair in SAID for text in pair], plan.tokenizer)
    torch.manual_seed(1)
    model = build(plan.model, vocabulary_size=tokenizer.size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)
    return Bundle(model, tokenizer, plan, step=1, report={})

"""What chaos tests have in common: a seed that is told, and figures that are told last."""

import os
import random

import pytest

from tests.acceptance.conftest import Tell, tell

__all__ = ["tell"]


@pytest.fixture
def seed(tell: Tell) -> int:
    """What decides who is killed, and when; ``CHAOS_SEED`` repeats a run."""
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
    tell(f"CHAOS_SEED={seed}")
    return seed

"""What acceptance tests have in common: each says last what it measured."""

import sys
from collections.abc import Callable

import pytest

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print past the capture, so that the figures stand in the output of a run that passes."""

    def out(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return out

"""What tests of pipelines share."""

import pytest

from core.pipelines.bundle import Bundle, read_bundle, serving
from core.pipelines.learn import Finished, learn
from tests.core.pipelines.small import PASSAGES, QUESTIONS, every_split


@pytest.fixture(scope="session")
def asker_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model that asks about a few passages, learned by heart, as a file."""
    *_, last = learn(every_split(PASSAGES), QUESTIONS, scratch=tmp_path_factory.mktemp("asker"))
    assert isinstance(last, Finished)
    return last.data


@pytest.fixture(scope="session")
def asker(asker_bytes: bytes) -> Bundle:
    """The same, ready to ask."""
    return serving(read_bundle(asker_bytes), "fp32")

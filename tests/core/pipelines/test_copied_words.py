"""Words that no vocabulary has, on their way from an ask into its answer."""

import pytest
import torch

from core.data.examples import Exchange
from core.models.build import build
from core.models.seq2seq import Seq2Seq
from core.pipelines.bundle import Bundle, read_bundle, write_bundle
from core.pipelines.looking import attention_maps
from core.pipelines.offline import decode_batch
from core.specs import DecodeSpec, ModelSpec, Plan, TokenizerSpec
from core.text.kinds import train_tokenizer

CONTEXTS = [["my name is Ζωή", "and Bell ▁ is not"], ["is Anna known"], ["what"]]


def bundle_of(kind: str) -> Bundle:
    """Return a model that has learned nothing and says only what the source says."""
    torch.manual_seed(0)
    plan = Plan(
        context_turns=2,
        tokenizer=TokenizerSpec.model_validate({"kind": kind, "vocabulary_size": 300}),
        model=ModelSpec(embedding_dim=8, hidden_dim=8, copy_source=True),
        decode=DecodeSpec(beam_size=1, max_tokens=12),
    )
    tokenizer = train_tokenizer(["my name is known", "what is your name"], plan.tokenizer)
    model = build(plan.model, vocabulary_size=tokenizer.size)
    assert isinstance(model, Seq2Seq)
    assert model.pointer is not None
    torch.nn.init.constant_(model.pointer.gate.bias, -1e4)  # the gate to the vocabulary is shut
    return read_bundle(write_bundle(Bundle(model, tokenizer, plan, 0, {})))


@pytest.mark.parametrize("kind", ["word", "char", "unigram"])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_answers_are_spelled_by_their_own_source(kind: str, beam_size: int) -> None:
    bundle = bundle_of(kind)
    heard = ["", "", ""]

    def hear(row: int, piece: str) -> None:
        heard[row] += piece

    spec = DecodeSpec(beam_size=beam_size, max_tokens=12)
    answers = [best[0].text for best in decode_batch(bundle, CONTEXTS, [spec] * 3, hear)]

    assert heard == answers
    for answer, turns in zip(answers, CONTEXTS, strict=True):
        assert answer
        if kind == "word":
            assert set(answer.split()) <= {word for turn in turns for word in turn.split()}
        if kind == "char":
            assert set(answer) <= set("".join(turns))


def test_a_word_of_the_source_can_be_skipped() -> None:
    bundle = bundle_of("word")
    spec = DecodeSpec(beam_size=1, max_tokens=12, skip=("Anna", "is"))

    answer = decode_batch(bundle, [CONTEXTS[1]], [spec])[0][0].text

    assert set(answer.split()) == {"known"}


def test_an_attention_map_names_copied_words() -> None:
    exchange = Exchange(("my name is Ζωή",), "")

    (found,) = attention_maps(bundle_of("word"), [exchange], ["known Ζωή Bell"])

    assert found["source"] == ["▁my", "▁name", "▁is", "Ζωή"]
    assert found["output"] == ["▁known", "Ζωή", "<unk>", "</s>"]
    assert [round(sum(line), 1) for line in found["weights"]] == [1.0] * 4

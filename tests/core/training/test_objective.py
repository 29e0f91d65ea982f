import torch
from torch.nn import functional

from core.data.batches import EncodedPairs, collate
from core.data.examples import Exchange
from core.models.build import build
from core.models.seq2seq import Seq2Seq
from core.specs import ModelSpec, TokenizerSpec
from core.text.tokenizer import PAD, Tokenizer
from core.training.objective import token_loss

SAID = ["가", "나다라", "마바사아자차카"]


def small() -> tuple[Seq2Seq, EncodedPairs]:
    tokenizer = Tokenizer.train(SAID, TokenizerSpec(kind="char", vocabulary_size=40))
    encoded = EncodedPairs.encode(
        [Exchange((text,), text) for text in SAID],
        tokenizer,
        max_source_tokens=20,
        max_target_tokens=20,
    )
    torch.manual_seed(0)
    model = build(ModelSpec(embedding_dim=8, hidden_dim=8), vocabulary_size=tokenizer.size).eval()
    return model, encoded


def test_the_loss_of_a_batch_is_the_sum_of_its_rows_and_ignores_padding() -> None:
    model, encoded = small()
    together, tokens = token_loss(model, collate(encoded, [0, 1, 2]), label_smoothing=0.1)
    alone = [token_loss(model, collate(encoded, [row]), label_smoothing=0.1) for row in range(3)]
    assert tokens == sum(count for _, count in alone) == 1 + 3 + 7 + 3
    torch.testing.assert_close(together, sum(loss for loss, _ in alone))


def test_the_loss_is_the_cross_entropy_of_the_next_word() -> None:
    model, encoded = small()
    batch = collate(encoded, [0, 1, 2])
    logits = model(batch.source, batch.source_mask, batch.target[:, :-1])
    expected = functional.cross_entropy(
        logits.flatten(0, 1), batch.target[:, 1:].flatten(), ignore_index=PAD, reduction="sum"
    )
    loss, _ = token_loss(model, batch, label_smoothing=0.0)
    torch.testing.assert_close(loss, expected)

"""From examples to lessons: the vocabulary, what is encoded, and what of it is held out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from core.data.asking import EncodedPassages
from core.data.batches import EncodedPairs
from core.data.examples import Example, Exchange, Passage, exchanges
from core.data.texts import EncodedText
from core.errors import InputError
from core.metrics.likelihood import count_words
from core.specs import Plan
from core.text.kinds import TextTokenizer, train_tokenizer
from core.text.tokenizer import Tokenizer
from core.training.lessons import Lessons, PairLessons
from core.training.passage_lessons import PassageLessons
from core.training.text_lessons import StreamLessons, WindowLessons


class Examples(Protocol):
    """A corpus that can be read again and again, in the same order each time."""

    def __call__(self, split: str, /) -> Iterable[Example]:
        """Yield the examples of ``split``: train, valid or test."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One split as a model reads it."""

    batches: Lessons[Any]
    count: int  # exchanges, questions, or tokens of running text
    tokens: int  # to be said, ends included
    words: int  # that these tokens spell, and one for each end; 0 where nobody counts them
    pairs: EncodedPairs | None = None  # what the batches are made of, if they are pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A corpus, ready to be learned from."""

    train: Lesson
    valid: Lesson
    test: Lesson | None  # of running text and passages alone
    sizes: dict[str, int]  # what the report tells of them
    told: str  # the same in words


def learn_vocabulary(examples: Examples, plan: Plan) -> TextTokenizer:
    """Learn the vocabulary from what is trained on; a closed one has the words of all splits."""
    closed = plan.tokenizer.kind == "closed"
    splits = ("train", "valid", "test") if closed else ("train",)
    return train_tokenizer(
        (text for split in splits for example in examples(split) for text in example.texts),
        plan.tokenizer,
    )


def prepare(examples: Examples, plan: Plan, tokenizer: TextTokenizer, scratch: Path) -> Prepared:
    """Encode ``examples`` into ``scratch``, and make batches of them.

    Raises InputError where a split that is needed is empty.
    """
    if plan.model.is_language_model:
        return _running_text(examples, plan, tokenizer, scratch)
    if plan.task == "questions":
        return _passages(examples, plan, tokenizer, scratch)
    train = _pairs(examples, "train", plan, tokenizer, scratch)
    valid = _pairs(examples, "valid", plan, tokenizer, scratch)
    return Prepared(
        train=train,
        valid=valid,
        test=None,
        sizes={"train": train.count, "valid": valid.count},
        told=f"{train.count:,} exchanges, {valid.count:,} held out",
    )


def exchanges_of(examples: Examples, split: str, plan: Plan) -> Iterator[Exchange]:
    """Yield what can be learned from ``split``."""
    for example in examples(split):
        yield from exchanges(example, context_turns=plan.context_turns)


def _pairs(
    examples: Examples, split: str, plan: Plan, tokenizer: TextTokenizer, scratch: Path
) -> Lesson:
    encoded = EncodedPairs.encode(
        exchanges_of(examples, split, plan),
        tokenizer,
        max_source_tokens=plan.train.max_source_tokens,
        max_target_tokens=plan.train.max_target_tokens,
        copy_source=plan.model.copy_source,
        directory=scratch / split,
    )
    if len(encoded) == 0:
        raise _empty(split)
    words = 0 if split == "train" else _target_words(examples, split, plan, tokenizer, encoded)
    return Lesson(
        batches=PairLessons(encoded, plan.train),
        count=len(encoded),
        tokens=int(encoded.target_lengths.sum()) + len(encoded),
        words=words,
        pairs=encoded,
    )


def _passages(examples: Examples, plan: Plan, tokenizer: TextTokenizer, scratch: Path) -> Prepared:
    """Encode passages and what is asked about them; what no question is about is not learned."""
    encoded = {
        split: EncodedPassages.encode(
            cast("Iterable[Passage]", examples(split)),
            cast(Tokenizer, tokenizer),
            max_source_tokens=plan.train.max_source_tokens,
            max_target_tokens=plan.train.max_target_tokens,
            copy_source=plan.model.copy_source,
            directory=scratch / split,
        )
        for split in ("train", "valid", "test")
    }
    for split in ("train", "valid"):
        if len(encoded[split]) == 0:
            raise _empty(split)
    train, valid, test = (
        Lesson(
            batches=PassageLessons(one, plan.train),
            count=len(one.questions),
            tokens=one.tokens,
            words=0,
        )
        for one in encoded.values()
    )
    sizes = {split: len(one.questions) for split, one in encoded.items() if len(one)}
    sizes |= {f"{split}_passages": len(one) for split, one in encoded.items() if len(one)}
    if left_out := sum(one.left_out for one in encoded.values()):
        sizes["left_out"] = left_out
    return Prepared(
        train=train,
        valid=valid,
        test=test if test.count else None,
        sizes=sizes,
        told=f"{train.count:,} questions, {valid.count:,} held out",
    )


def _target_words(
    examples: Examples, split: str, plan: Plan, tokenizer: TextTokenizer, encoded: EncodedPairs
) -> int:
    """Count the words of all targets as far as they were not cut off, and their ends."""
    limit = plan.train.max_target_tokens
    lengths = encoded.target_lengths.tolist()

    def kept() -> Iterator[str]:
        for exchange, length in zip(exchanges_of(examples, split, plan), lengths, strict=True):
            whole = length < limit
            ids = [] if whole else tokenizer.encode(exchange.reply)[:limit]
            yield exchange.reply if whole else tokenizer.decode(ids)

    return count_words(kept(), ends=True)


def _running_text(
    examples: Examples, plan: Plan, tokenizer: TextTokenizer, scratch: Path
) -> Prepared:
    """Encode running text; what is held out begins with what comes before it as context.

    So every held-out word is asked for once, and none of them without anything before it.
    """
    texts = {
        split: _text(examples, split, tokenizer, scratch) for split in ("train", "valid", "test")
    }
    sizes = {f"{split}_tokens": len(text) for split, text in texts.items() if len(text)}
    told = f"{sizes['train_tokens']:,} tokens, {sizes['valid_tokens']:,} held out"
    if plan.model.window:
        sizes["windows"] = sum(sizes.values()) - plan.model.window
        told += f", {sizes['windows']:,} windows"
    lessons = {"train": _reading(texts["train"], plan, len(texts["train"]), 0)}
    before = texts["train"].tokens
    for split in ("valid", "test"):
        text, size = texts[split], len(texts[split])
        joined = EncodedText(np.concatenate([before[-(plan.model.window or 1) :], text.tokens]))
        if size:
            lessons[split] = _reading(joined, plan, size, _words(examples, split, tokenizer))
        before = joined.tokens
    return Prepared(
        train=lessons["train"],
        valid=lessons["valid"],
        test=lessons.get("test"),
        sizes=sizes,
        told=told,
    )


def _text(examples: Examples, split: str, tokenizer: TextTokenizer, scratch: Path) -> EncodedText:
    pieces = (text for example in examples(split) for text in example.texts)
    text = EncodedText.encode(pieces, tokenizer, directory=scratch / split, end=tokenizer.end)
    if len(text) == 0 and split != "test":
        raise _empty(split)
    return text


def _reading(text: EncodedText, plan: Plan, tokens: int, words: int) -> Lesson:
    spec, window = plan.train, plan.model.window
    batches: Lessons[Any] = (
        WindowLessons(text, window=window, batch_size=spec.batch_size, seed=spec.seed)
        if window
        else StreamLessons(text, streams=spec.batch_size, bptt=spec.bptt)
    )
    return Lesson(batches=batches, count=len(text), tokens=tokens, words=words)


def _words(examples: Examples, split: str, tokenizer: TextTokenizer) -> int:
    texts = (text for example in examples(split) for text in example.texts)
    return count_words(texts, ends=tokenizer.end is not None)


def _empty(split: str) -> InputError:
    return InputError(f"the corpus has no {split} examples; import more, or other shares")

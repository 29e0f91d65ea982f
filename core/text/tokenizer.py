"""Text to ids and back: characters, words or subwords, over one sentencepiece model."""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from core.errors import BundleError, InputError, SpecError
from core.specs import TokenizerSpec
from core.text.clean import normalise
from core.text.particles import parted
from core.text.words import is_closing, words_of

PAD = 0
UNK = 1
BOS = 2
EOS = 3
SEP = 4
SPECIALS = (PAD, UNK, BOS, EOS, SEP)

_MAX_SENTENCES = 1_000_000  # what one vocabulary is learned from: more costs memory, not quality
_MAX_SENTENCE_LENGTH = 4000  # characters; the trainer's cost grows steeply with unbroken text
_SPACE_MARK = "\u2581"  # how pieces write a space
_BORDER = "\x1f"  # where no piece goes on, told to the trainer alone
_TRAINER_RESERVED = re.compile("[\0\u2581\u2585]+")  # a sentence with one of these is thrown away
_TOO_SMALL = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


class Tokenizer:
    """One vocabulary, for source and target alike.

    Subwords with byte fallback lose nothing: ``decode(encode(text))`` is ``normalise(text)``.
    Words lose the width of spaces; characters and words lose what the vocabulary lacks. Where
    marks are split off, the text of a mark that closes follows the word before it.

    Where particles are apart, no piece was learned across the border of a Korean word and its
    particle, so that what is looked for can end there: 인터프리터를 is two pieces or more.

    Every text but a character one is encoded with a space put before it, so that a word is the
    same piece wherever it stands; ``decode`` takes that space away again.
    """

    end: int | None = EOS

    def __init__(self, spec: TokenizerSpec, model: bytes) -> None:
        """Open a trained ``model``; raises BundleError where it is none of ours."""
        self.spec = spec
        self.model = model
        self.lead = _lead(spec)
        self._processor = _open(model)
        self._pieces: list[str] = [
            self._processor.id_to_piece(id_) for id_ in range(self._processor.get_piece_size())
        ]
        self._spellings = [self._spell(id_) for id_ in range(len(self._pieces))]
        self._space_mark_ids = self._encode_space_mark()

    @classmethod
    def train(cls, texts: Iterable[str], spec: TokenizerSpec) -> "Tokenizer":
        """Learn a vocabulary from ``texts``; the same texts give the same bytes.

        A vocabulary larger than the texts support becomes the largest that they do.
        Raises SpecError where ``spec.vocabulary_size`` cannot hold the necessary pieces, and
        InputError where there is no text.
        """
        prepared = (_lead(spec) + _prepare(text, spec) for text in texts if text.strip())
        sentences = _sample(chain.from_iterable(map(_sentences, prepared)), _MAX_SENTENCES)
        if not sentences:
            raise InputError("There is no text to learn a vocabulary from.")
        return cls(spec, _train(sentences, spec))

    @property
    def size(self) -> int:
        """How many ids there are; at most ``spec.vocabulary_size``."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text``, without specials; UNK where nothing fits.

        What looks like a special, as ``</s>`` does, is text like any other.
        """
        text = _prepare(text, self.spec)
        if not text:
            return []
        first, *rest = (self.lead + text).split(_SPACE_MARK)
        ids: list[int] = self._processor.encode(first)
        for part in rest:
            ids += self._space_mark_ids
            ids += self._processor.encode(part)
        return ids

    def spell(self, text: str) -> list[tuple[int, str]]:
        """Return each id of ``text``, and beside an UNK what it stands for.

        One UNK is one word, or one character; ``encode`` takes a run of them for one.
        """
        text = self.lead + _prepare(text, self.spec)
        if self.spec.kind == "word":
            return [self._spelled(" " + word) for word in text.split()]
        if self.spec.kind == "char":
            return [self._spelled(char) for char in text]
        return list(self._spelled_subwords(text)) if text != self.lead else []

    def encode_turns(self, turns: Iterable[str]) -> list[int]:
        """Return the ids of several turns, oldest first, with SEP between them."""
        ids: list[int] = []
        for position, turn in enumerate(turns):
            if position:
                ids.append(SEP)
            ids += self.encode(turn)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ``ids`` spell; specials are skipped, broken bytes are U+FFFD."""
        spelled = b"".join(map(self.spelling, ids))
        return spelled.decode("utf-8", errors="replace").removeprefix(self.lead)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Return each id as a person would look at it: ``▁hello``, ``<0x0A>``, ``</s>``."""
        return [self._pieces[id_] for id_ in ids]

    def spelling(self, id_: int) -> bytes:
        """Return the UTF-8 bytes that one id adds to a text; none for specials."""
        return self._spellings[id_]

    def skip_ids(self, words: Iterable[str]) -> list[int]:
        """Return the ids that say one of ``words``, ascending; specials go by their names.

        A word that the vocabulary lacks is never said anyway. Raises InputError for one that is
        said in several pieces: each of them belongs to other words too.
        """
        found = set[int]()
        for word in words:
            said = normalise(word, lower_case=self.spec.lower_case).strip()
            ids = {id_ for id_, spelled in enumerate(self._spellings) if _says(spelled, said)}
            ids |= {id_ for id_ in SPECIALS if self._pieces[id_] == word}
            if not ids and UNK not in self.encode(said):
                raise InputError(
                    f"{word!r} is several pieces in this vocabulary, so it cannot be skipped.",
                    field="skip",
                )
            found |= ids
        return sorted(found)

    def _spell(self, id_: int) -> bytes:
        if id_ in SPECIALS:
            return b""
        if self._processor.is_byte(id_):
            return bytes.fromhex(self._pieces[id_][3:5])
        return self._written(self._pieces[id_].replace(_SPACE_MARK, " ")).encode()

    def _written(self, part: str) -> str:
        """Return a word as it stands in a text: behind a space, or, of some marks, without."""
        closes = self.spec.split_marks and is_closing(part.removeprefix(self.lead))
        return part.removeprefix(self.lead) if closes else part

    def _spelled(self, part: str) -> tuple[int, str]:
        piece = part.replace(" ", _SPACE_MARK)
        id_: int = UNK if _SPACE_MARK in part else self._processor.piece_to_id(piece)
        return (UNK, self._written(part)) if id_ in SPECIALS else (id_, "")

    def _spelled_subwords(self, text: str) -> Iterator[tuple[int, str]]:
        for position, part in enumerate(text.split(_SPACE_MARK)):
            if position:
                yield from ((id_, _SPACE_MARK) for id_ in self._space_mark_ids)
            ids, pieces = (self._processor.encode(part, out_type=kind) for kind in (int, str))
            for id_, piece in zip(ids, pieces, strict=True):
                yield from ((UNK, char) for char in piece) if id_ == UNK else [(id_, "")]

    def _encode_space_mark(self) -> list[int]:
        """Say in bytes what the model itself would take for a space."""
        ids = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in _SPACE_MARK.encode()]
        return ids if UNK not in ids else [UNK]


def _open(model: bytes) -> SentencePieceProcessor:
    problem = "The tokenizer model is damaged or not one of ours."
    if not model:
        raise BundleError(problem)
    try:
        processor = SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise BundleError(problem) from error
    specials = (
        processor.pad_id(),
        processor.unk_id(),
        processor.bos_id(),
        processor.eos_id(),
        processor.piece_to_id("<sep>"),
    )
    if specials != SPECIALS:
        raise BundleError(problem)
    return processor


def _says(spelled: bytes, word: str) -> bool:
    return bool(word) and spelled.strip() == word.encode()


def _lead(spec: TokenizerSpec) -> str:
    return "" if spec.kind == "char" else " "


def _prepare(text: str, spec: TokenizerSpec) -> str:
    text = normalise(text, lower_case=spec.lower_case)
    if spec.split_marks:
        return " ".join(text[start:end] for start, end in words_of(text))
    return " ".join(text.split()) if spec.kind == "word" else text


def _sentences(text: str) -> Iterator[str]:
    for part in _TRAINER_RESERVED.split(text):
        for start in range(0, len(part), _MAX_SENTENCE_LENGTH):  # an empty part yields none
            yield part[start : start + _MAX_SENTENCE_LENGTH]


def _sample(sentences: Iterable[str], limit: int) -> list[str]:
    """Keep at most ``limit`` sentences, each with the same chance, in one pass (Vitter's R)."""
    choose = random.Random(0)  # noqa: S311 (repeatable on purpose; nothing secret hangs on it)
    kept: list[str] = []
    for seen, sentence in enumerate(sentences):
        if seen < limit:
            kept.append(sentence)
        elif (place := choose.randrange(seen + 1)) < limit:
            kept[place] = sentence
    return kept


def _train(sentences: Sequence[str], spec: TokenizerSpec) -> bytes:
    subwords = spec.kind in {"unigram", "bpe"}
    if spec.particles_apart:
        sentences = [parted(sentence, _BORDER) for sentence in sentences]
    model = BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            pretokenization_delimiter=_BORDER if spec.particles_apart else "",
            model_writer=model,
            model_type=spec.kind,
            vocab_size=spec.vocabulary_size,
            hard_vocab_limit=False,
            character_coverage=spec.character_coverage,
            required_chars=_SPACE_MARK,  # rare or not: a space in bytes would come back as a mark
            byte_fallback=spec.byte_fallback and subwords,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            control_symbols=["<sep>"],
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentence_length=4 * _MAX_SENTENCE_LENGTH + 1,
            shuffle_input_sentence=False,
            num_threads=1,  # several would add in another order each time
            minloglevel=3,
        )
    except RuntimeError as error:
        raise _explain(error, spec) from error
    return model.getvalue()


def _explain(error: RuntimeError, spec: TokenizerSpec) -> InputError:
    found = _TOO_SMALL.search(str(error))
    if not found:
        return InputError("These texts hold too little to learn a vocabulary from.")
    spare = ", or switch byte_fallback off (256 pieces)" if spec.byte_fallback else ""
    return SpecError(
        f"A {spec.kind} vocabulary of {spec.vocabulary_size} pieces is too small for these texts: "
        f"their characters and the fixed pieces alone are {found[1]}. "
        f"Raise vocabulary_size, or lower character_coverage{spare}.",
        field="vocabulary_size",
    )

"""What a request says in words, as decoding understands it: ids and bytes of one vocabulary."""

from collections.abc import Iterable, Sequence

from core.decoding.step import Wish
from core.errors import InputError
from core.specs import DecodeSpec
from core.text.clean import normalise
from core.text.tokenizer import UNK
from core.text.vocabulary import Vocabulary

_REPLACEMENT = "\ufffd"  # how broken bytes are shown: no text of a model has it as such


def wish_of(
    spec: DecodeSpec, vocabulary: Vocabulary, *, first: int, end: int | None, never: Iterable[int]
) -> Wish:
    """Return what ``spec`` asks for, as the ids and spellings of ``vocabulary``.

    ``first`` is what the model hears before the first word, ``end`` the id that ends a text if one
    does, and ``never`` the ids that are no words; what ``spec`` skips is added to them. Words of a
    source keep the ids that they have beside it.

    A required phrase begins with a word, as a text does: where pieces of words carry the space
    before them, so does its first one, and at the very beginning of a text that space is not seen.
    Raises InputError naming the field for a phrase that the model cannot say, is never to say, or
    that cannot come about beside the others.
    """
    if end is None and spec.min_tokens:
        raise _refusal("min_tokens", "nothing but its length ends a text of this model")
    barred = (*never, *_skipped(spec, vocabulary))
    forbidden = {*barred, *([] if end is None else [end])}
    prefix = _ids("prefix", spec.prefix, vocabulary, forbidden) if spec.prefix else ()
    required = tuple(_ids("required", text, vocabulary, forbidden) for text in spec.required)
    for ids, text in zip(required, spec.required, strict=True):
        if len(ids) > spec.max_tokens:
            reason = f"{text!r} has {len(ids)} tokens, max_tokens is {spec.max_tokens}"
            raise _refusal("required", reason)
        if not ids:
            raise _refusal("required", f"{text!r} has no word in it")
    texts = {name: _spelled(name, spec, vocabulary) for name in ("banned", "stop")}
    _see_that_they_go_together(spec, vocabulary, texts)
    return Wish(
        spec=spec,
        first=first,
        end=end,
        never=barred,
        prefix=prefix,
        required=tuple(dict.fromkeys(required)),
        banned=tuple(text.encode() for text in texts["banned"]),
        stop=tuple(text.encode() for text in texts["stop"]),
        spell=vocabulary.spelling,
        lead=vocabulary.lead.encode(),
    )


def stops_of(wish: Wish) -> tuple[str, ...]:
    """Return the texts that end a reply to ``wish``, spelled as the reply is."""
    return tuple(text.decode() for text in wish.stop)


def _skipped(spec: DecodeSpec, vocabulary: Vocabulary) -> list[int]:
    try:
        return vocabulary.skip_ids(spec.skip)
    except InputError as error:
        raise _refusal("skip", str(error)) from error


def _ids(field: str, text: str, vocabulary: Vocabulary, forbidden: set[int]) -> tuple[int, ...]:
    """Return the ids of ``text``; raises InputError where they do not say all of it."""
    try:
        ids = vocabulary.encode(text)
    except InputError as error:  # a closed vocabulary names the word
        raise _refusal(field, f"{text!r} cannot be said: {error}") from error
    if _is_lost(ids, text, vocabulary):
        raise _refusal(field, f"{text!r} cannot be said: this model does not know all of its words")
    if said := forbidden.intersection(ids):
        (piece, *_) = vocabulary.pieces(sorted(said))
        raise _refusal(field, f"{text!r} has {piece!r} in it, which is never said within a text")
    return tuple(ids)


def _is_lost(ids: Sequence[int], text: str, vocabulary: Vocabulary) -> bool:
    """Whether ``ids`` do not say ``text``: one of its words stands for any that is not known."""
    if vocabulary.spec.kind != "closed":
        return UNK in ids
    return vocabulary.decode(ids).split() != _written(text, vocabulary).split()


def _spelled(field: str, spec: DecodeSpec, vocabulary: Vocabulary) -> list[str]:
    texts = [_written(text, vocabulary) for text in getattr(spec, field)]
    for text in texts:
        if _REPLACEMENT in text:
            raise _refusal(field, f"{text!r} has a sign in it that stands for what is no text")
    return texts


def _see_that_they_go_together(
    spec: DecodeSpec, vocabulary: Vocabulary, texts: dict[str, list[str]]
) -> None:
    """Refuse what no text can be: what is to be in it has in it what is not to be."""
    wanted = [("prefix", spec.prefix), *(("required", phrase) for phrase in spec.required)]
    for name, unwanted in texts.items():
        for text in unwanted:
            for field, phrase in wanted:
                if text in _written(phrase, vocabulary):
                    raise _refusal(field, f"{phrase!r} has {text!r} in it, which is {name}")


def _written(text: str, vocabulary: Vocabulary) -> str:
    """Return ``text`` as the vocabulary writes it."""
    return normalise(text, lower_case=vocabulary.spec.lower_case)


def _refusal(field: str, reason: str) -> InputError:
    return InputError(f"decode.{field}: {reason}", field=f"decode.{field}")

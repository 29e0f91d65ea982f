"""Korean passages in, Korean questions about them out: learned from a rule, for want of people."""

from dataclasses import replace

from core.recipes import questions
from core.recipes.materials import Material
from core.recipes.recipe import Target
from core.specs import merge

_DOCS, _SENTENCES = "python_docs_en_ko/train.tsv", "tatoeba_en_ko/kor.txt"
_POINTER = next(one for one in questions.RECIPES if one.name == "qgen-pointer")

RECIPES = (
    replace(
        _POINTER,
        name="qgen-pointer-ko",
        family="questions-ko",  # other data: its figures are beside no others
        title="Korean questions that point into their passage",
        description=(
            "What qgen-pointer does, on Korean subwords whose particles stand apart. A rule asks "
            "about real sentences, in place, as Korean asks; what the model makes of questions "
            "that people ask is told beside it."
        ),
        plan=merge(
            _POINTER.plan,
            {
                "tokenizer": {
                    "kind": "unigram",
                    "vocabulary_size": 6000,
                    "split_marks": False,
                    "particles_apart": True,
                    # A rare syllable is copied whole, and not byte by byte
                    "byte_fallback": False,
                    "character_coverage": 0.999,
                },
                "model": {"embedding_dim": 96},
                "train": {"max_source_tokens": 192, "max_epochs": 6},
                "decode": {"max_tokens": 40, "no_repeat_ngram": 5},
            },
        ),
        material=Material(
            reader="korean",
            files=(_DOCS, _SENTENCES),
            test_files=("python_docs_en_ko/valid.tsv",),
            columns=(1, 2),
            scattered=(_SENTENCES,),
            valid=0.04,
            people="passages.jsonl",
            people_language="ko",
        ),
        headline=Target("bleu", source="against the rule; people ask otherwise, see their figures"),
    ),
)

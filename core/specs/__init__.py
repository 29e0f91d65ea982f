"""Frozen, validated descriptions; each is saved with whatever was made from it."""

from core.specs.asking import lay_over
from core.specs.base import Spec, merge, parse
from core.specs.decoding import DecodeSpec
from core.specs.generating import GenerateJob, GenerateSpec
from core.specs.kept import KeptSpec
from core.specs.model import ModelSpec
from core.specs.passages import PassageSpec
from core.specs.plan import Name, Plan, Task, TrainJob
from core.specs.questions import QuestionSpec
from core.specs.serving import ServeSpec, ServingPrecision
from core.specs.text import TokenizerSpec
from core.specs.training import TrainSpec

__all__ = [
    "DecodeSpec",
    "GenerateJob",
    "GenerateSpec",
    "KeptSpec",
    "ModelSpec",
    "Name",
    "PassageSpec",
    "Plan",
    "QuestionSpec",
    "ServeSpec",
    "ServingPrecision",
    "Spec",
    "Task",
    "TokenizerSpec",
    "TrainJob",
    "TrainSpec",
    "lay_over",
    "merge",
    "parse",
]

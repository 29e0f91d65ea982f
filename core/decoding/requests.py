"""Requests: one source each, and what is asked about it."""

from dataclasses import dataclass, replace

from core.decoding.required import refuse_unsayable
from core.decoding.step import StateT, StepModel, Wish
from core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One source, and what is asked about it."""

    key: int
    source: tuple[int, ...]  # ids
    wish: Wish
    priority: int = 0  # lower goes first
    deadline: float | None = None  # in seconds of the engine's clock

    @property
    def opening(self) -> int:
        """How many lines it needs at most."""
        spec = self.wish.spec
        return len(self.wish.scripts) or max(spec.beam_size, spec.n_best)

    @property
    def first_lines(self) -> int:
        """How many lines it begins with: a beam grows from one."""
        spec = self.wish.spec
        return len(self.wish.scripts) or (1 if spec.beam_size > 1 else spec.n_best)

    @property
    def tokens(self) -> int:
        """How many tokens have to be held for it at most."""
        longest = max(map(len, self.wish.scripts), default=self.wish.spec.max_tokens)
        return len(self.source) + self.opening * longest


def refuse_impossible(request: Request, model: StepModel[StateT]) -> None:
    """Raise InputError for what ``request`` asks of a model that cannot do it."""
    wish, spec = request.wish, request.wish.spec
    if len(wish.prefix) > spec.max_tokens:
        raise InputError(
            f"the prefix has {len(wish.prefix)} tokens, max_tokens is {spec.max_tokens}",
            field="decode.prefix",
        )
    if wish.required:
        refuse_unsayable(wish)
    for name in ("alignments", "coverage_penalty"):
        if getattr(spec, name) and not getattr(model, "tells_attention", True):
            raise InputError(
                f"{name}: this model cannot tell where it looked", field=f"decode.{name}"
            )


def with_whole_beam(request: Request) -> Request:
    """Ask for all that a beam holds where it is ranked anew."""
    spec = request.wish.spec
    if not spec.anti_generic:
        return request
    spec = spec.model_copy(update={"n_best": spec.beam_size})
    return replace(request, wish=replace(request.wish, spec=spec))

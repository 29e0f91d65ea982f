import torch
from torch import Tensor

from core.models.pasts import ROOM, Past, less_skipped


def some(rows: int, steps: int, seed: int) -> Tensor:
    return torch.randn(rows, 2, steps, 3, generator=torch.Generator().manual_seed(seed))


def test_what_is_written_stands_behind_what_was() -> None:
    parts = [some(2, 1, seed) for seed in range(2 * ROOM)]
    with torch.no_grad():
        past = Past(parts[0])
        for part in parts[1:]:
            past = past.then(part)
    assert torch.equal(past.seen, torch.cat(parts, dim=2))


def test_most_steps_copy_nothing() -> None:
    with torch.no_grad():
        past = Past(some(1, 4, 0)).then(some(1, 1, 1))
        after = past.then(some(1, 1, 2))
    assert after.room is past.room


def test_two_that_follow_one_do_not_write_over_each_other() -> None:
    with torch.inference_mode():
        past = Past(some(1, 4, 0)).then(some(1, 1, 1))
        first, second = past.then(some(1, 1, 2)), past.then(some(1, 1, 3))
        third = first.then(some(1, 1, 4))
    for after, last in ((first, 2), (second, 3)):
        assert torch.equal(after.seen, torch.cat([past.seen, some(1, 1, last)], dim=2))
    assert torch.equal(third.seen, torch.cat([first.seen, some(1, 1, 4)], dim=2))


def test_what_was_written_in_inference_is_gone_on_with_outside() -> None:
    with torch.inference_mode():
        past = Past(some(1, 4, 0)).then(some(1, 1, 1))
    with torch.no_grad():
        after = past.then(some(1, 1, 2))
    assert torch.equal(after.seen[:, :, :5], past.seen)


def test_gradients_go_through_what_was_written() -> None:
    first, second = some(1, 2, 0).requires_grad_(), some(1, 1, 1).requires_grad_()
    past = Past(first).then(second).select(torch.tensor([0, 0]))
    past.seen.sum().backward()
    for part in (first, second):
        assert part.grad is not None
        assert part.grad.eq(2).all()


def test_rows_are_chosen_and_join_so_that_all_end_together() -> None:
    with torch.no_grad():
        long, short = Past(some(3, 5, 0)), Past(some(1, 2, 1))
        chosen = long.select(torch.tensor([2, 0, 2]), first=1)
        assert torch.equal(chosen.seen, long.seen[[2, 0, 2], :, 1:])
        joined = short.join([chosen])
    assert torch.equal(joined.seen[1:], chosen.seen)
    assert torch.equal(joined.seen[:1, :, 2:], short.seen)
    assert joined.seen[:1, :, :2].eq(0).all()


def test_what_all_skip_is_told_apart_from_what_some_skip() -> None:
    assert less_skipped(None) == (0, None)
    assert less_skipped(torch.tensor([2, 2])) == (2, None)
    least, rest = less_skipped(torch.tensor([3, 1]))
    assert least == 1
    assert rest is not None
    assert rest.tolist() == [2, 0]

"""Every fast measure against a slow, obvious twin in plain Python, on fresh random tensors of odd kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from diagnostics.measuring import measures
from diagnostics.measuring.figures import Figure
from diagnostics.measuring.measures import ROWS

Nested = float | list["Nested"]

SHAPES = (
    (1,),
    (7,),
    (1, 1),
    (1, 5),
    (5, 1),
    (3, 4),
    (70, 3),
    (2, 3, 4),
    (66, 2, 3),
    (2, 3, 4, 5),
    (1, 2, 3, 1),
)
KINDS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "half": torch.float16,
}


def some(shape: Sequence[int], dtype: torch.dtype = torch.float32, zeros: bool = False) -> Tensor:
    """Random numbers, some of them 0 when asked for."""
    x = torch.randn(*shape)
    return (x * (torch.rand(*shape) > 0.4) if zeros else x).to(dtype)


def layouts(x: Tensor) -> Iterator[Tensor]:
    """The same numbers as memory may hold them."""
    yield x
    yield torch.stack([x, x + 1], dim=-1)[..., 0]  # every second number
    if x.ndim >= 2:
        yield x.transpose(0, -1).contiguous().transpose(0, -1)
    if x.ndim == 4:
        yield x.contiguous(memory_format=torch.channels_last)


def every_kind(zeros: bool = False) -> Iterator[Tensor]:
    """Tensors of all shapes, number formats and layouts."""
    for shape, dtype in product(SHAPES, KINDS.values()):
        yield from layouts(some(shape, dtype, zeros))


def flat(x: Tensor) -> list[float]:
    """All numbers."""
    return [float(value) for value in x.double().reshape(-1).tolist()]


def norm(values: Sequence[float]) -> float:
    """The Euclidean norm."""
    return math.sqrt(sum(value * value for value in values))


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def places(x: Tensor, axis: int) -> list[list[float]]:
    """The numbers of every index along one axis."""
    return [flat(x.select(axis, i)) for i in range(x.shape[axis])]


def close(found: Figure, expected: float) -> bool:
    """Equal up to the rounding of float32; a tensor has to be a single number."""
    single = not isinstance(found, Tensor) or found.ndim == 0
    return math.isclose(float(found), expected, rel_tol=1e-4, abs_tol=1e-4) and single


@pytest.mark.parametrize(
    ("size", "stride"),
    [
        ((4, 4), 1),
        ((20, 20), 1),
        ((24, 24), 3),
        ((28, 28), 3),
        ((224, 224), 27),
        ((3, 500), 3),
        ((9, 9, 99), 5),
    ],
)
def test_fewer_places_of_images_are_spread_over_all_of_it(size: tuple[int, ...], stride: int) -> None:
    x = torch.arange(math.prod(size)).reshape(1, 1, *size).expand(3, 2, *size)
    found = measures.fewer_places(x)
    assert torch.equal(found, found[:1, :1].expand(3, 2, *found.shape[2:]))
    chosen = product(*(range(stride // 2, length, stride) for length in size))
    expected = [int(x[0, 0][place]) for place in chosen]
    assert found[0, 0].flatten().tolist() == expected and stride % 2 == 1


def test_what_is_no_image_keeps_all_its_places() -> None:
    for x in every_kind():
        if x.ndim < 4:
            assert measures.fewer_places(x) is x


def test_norms_do_not_lose_the_digits_of_half_precision() -> None:
    for x in every_kind():
        (one,) = measures.norms([x])
        assert close(one, norm(flat(x))), (x.shape, x.dtype)
        assert close(measures.length(x), norm(flat(x))), (x.shape, x.dtype)


def test_the_norm_of_large_half_precision_weights_is_finite() -> None:
    x = torch.full((400, 400), 300.0, dtype=torch.float16)
    (one,) = measures.norms([x])
    assert close(one, 300.0 * 400)
    (square,) = measures.dots([[x]], [(0, 0)])
    assert float(square) == pytest.approx((300.0 * 400) ** 2, rel=1e-3)


def test_norms_of_many_tensors_are_those_of_each() -> None:
    xs = [some(shape, dtype) for shape, dtype in product(SHAPES, KINDS.values())]
    found = measures.norms(xs)
    assert all(close(one, norm(flat(x))) for one, x in zip(found, xs, strict=True))
    assert measures.norms([]) == []


def test_dots_are_those_of_long_vectors() -> None:
    pairs = list(product(range(3), repeat=2))
    for x in every_kind():
        vectors = [[x, some((3, 2))], *([some(x.shape, x.dtype), some((3, 2))] for _ in range(2))]
        numbers = [[value for part in vector for value in flat(part)] for vector in vectors]
        expected = [sum(a * b for a, b in zip(numbers[i], numbers[j], strict=True)) for i, j in pairs]
        found = measures.dots(vectors, pairs)
        assert all(map(close, found, expected)), (x.shape, x.dtype)


def test_row_spread_is_the_distance_from_the_mean_row() -> None:
    matrices = [w for w in every_kind() if w.ndim >= 2]
    for w, found in zip(matrices, measures.row_spreads(matrices), strict=True):
        rows = [flat(row) for row in w[:ROWS]]
        middle = [mean(column) for column in zip(*rows, strict=True)]
        apart = norm([value - m for row in rows for value, m in zip(row, middle, strict=True)])
        assert close(found, apart / norm([v for row in rows for v in row])), w.shape
    nothing, alike = measures.row_spreads([torch.zeros(3, 4), some((1, 4)).expand(6, 4)])
    assert float(nothing) == 0
    assert float(alike) == pytest.approx(0, abs=1e-6)


def test_mean_and_spread_are_of_the_first_samples() -> None:
    for x in every_kind():
        values = flat(x[:ROWS])
        m = mean(values)
        found = measures.mean_and_spread(x)
        assert close(found[0], m)
        assert close(found[1], math.sqrt(mean([(value - m) ** 2 for value in values])))


def test_a_small_spread_around_a_large_mean_keeps_its_digits() -> None:
    x = 1000 + 0.01 * torch.randn(64, 50)
    values = flat(x)
    expected = math.sqrt(mean([(value - mean(values)) ** 2 for value in values]))
    assert float(measures.mean_and_spread(x)[1]) == pytest.approx(expected, rel=0.01)


def test_root_mean_square() -> None:
    for x in every_kind():
        assert close(measures.root_mean_square(x), norm(flat(x)) / math.sqrt(x.numel()))
    assert float(measures.root_mean_square(torch.zeros(0, 3))) == 0
    assert float(measures.root_mean_square(torch.full((9,), 3e4, dtype=torch.float16))) == pytest.approx(3e4)


@pytest.mark.parametrize("kind", measures.SLOPES)
def test_slope_share_is_the_derivative_that_autograd_finds(kind: type[nn.Module]) -> None:
    module = kind()
    dense = torch.linspace(-4, 4, 20001, dtype=torch.float64).requires_grad_()
    steepest = float(torch.autograd.grad(module(dense).sum(), dense)[0].max())
    for shape in SHAPES:
        x = (3 * some(shape, torch.float64)).requires_grad_()
        a = module(x)
        (slopes,) = torch.autograd.grad(a.sum(), x)
        expected = mean(flat(slopes[:ROWS])) / steepest
        assert float(measures.slope_share(kind, a.detach())) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_firings_count_what_is_not_zero_in_every_unit() -> None:
    for a in every_kind(zeros=True):
        for axis in range(1, max(a.ndim, 2)):
            units = [flat(a)] if a.ndim == 1 else places(a, axis)
            expected = [sum(value != 0 for value in unit) for unit in units]
            assert measures.firings(a, axis).tolist() == expected, a.shape
        assert measures.firings(a).tolist() == expected, a.shape  # the last axis


def answers(y: Tensor, centred: bool) -> dict[str, float]:
    """The figures of answers, number by number."""
    y = y[:ROWS]
    if y.ndim == 1:
        y = y[:, None]
    y = y.movedim(1, -1) if y.ndim >= 4 else y
    rows = [[flat(row) for row in sample.reshape(-1, y.shape[-1])] for sample in y]
    free = [[[v - mean(row) for v in row] if centred and len(row) > 1 else row for row in s] for s in rows]
    columns = list(zip(*([v for row in sample for v in row] for sample in free), strict=True))
    apart = [v - mean(column) for column in columns for v in column]
    plain = [v for sample in rows for row in sample for v in row]
    return {
        "answer_spread": math.sqrt(mean([v * v for v in apart])),
        "answer_scale": math.sqrt(mean([v * v for column in columns for v in column])),
        "answer_min": min(plain),
        "answer_max": max(plain),
        "answer_sum_gap": mean([abs(sum(row) - 1) for sample in rows for row in sample]),
        "answer_width": float(y.shape[-1]),
    }


@pytest.mark.parametrize("centred", [True, False])
def test_answer_figures(centred: bool) -> None:
    for y in every_kind():
        found, expected = measures.answer_figures(y, centred), answers(y, centred)
        assert found.keys() == expected.keys()
        assert all(close(found[name], expected[name]) for name in expected), (y.shape, found, expected)


@pytest.mark.parametrize(
    ("norm_of", "shape"),
    [
        (nn.BatchNorm1d, (9, 4)),
        (nn.BatchNorm1d, (3, 4, 5)),
        (nn.BatchNorm2d, (3, 4, 2, 5)),
        (nn.BatchNorm2d, (1, 3, 2, 2)),
    ],
)
def test_running_figures(
    norm_of: Callable[..., nn.modules.batchnorm._BatchNorm], shape: tuple[int, ...]
) -> None:
    norm = norm_of(shape[1])
    for _ in range(3):
        norm(2 + 3 * some(shape))
    for x in layouts(some(shape)):
        gaps, ratios = [], []
        for channel, values in enumerate(places(x, 1)):
            m = mean(values)
            variance = mean([(value - m) ** 2 for value in values]) + norm.eps
            gaps.append(abs(float(norm.running_mean[channel]) - m) / math.sqrt(variance))
            ratios.append(float(norm.running_var[channel]) / variance)
        found = measures.running_figures(norm, x)
        assert found is not None
        assert close(found[0], mean(gaps))
        assert close(found[1], sorted(ratios)[(len(ratios) - 1) // 2])
    assert measures.running_figures(norm_of(shape[1], track_running_stats=False), some(shape)) is None


def test_rotation_is_the_angle_between_two_vectors() -> None:
    for size in (0.0, 1e-3, 0.1, 1.0, 10.0):
        before = some((30,), torch.float64)
        after = before + size * some((30,), torch.float64)
        cosine = sum(a * b for a, b in zip(flat(before), flat(after), strict=True))
        expected = math.acos(min(1.0, cosine / norm(flat(before)) / norm(flat(after))))
        found = measures.rotation(*(float(v.norm()) for v in (before, after, after - before)))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert measures.rotation(0.0, 1.0, 1.0) == 0

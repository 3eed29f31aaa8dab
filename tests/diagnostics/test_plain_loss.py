"""The plain loss of a model's answers: what torch itself says of them."""

from __future__ import annotations

import pytest
import torch

from diagnostics.measuring import measures


@pytest.mark.parametrize("shape", ["[B, C]", "[B, T, C]", "[B, C, T]", "[B, C, H, W]"])
def test_the_plain_loss_of_classes_is_torchs_own(shape: str) -> None:
    y = {
        "[B, C]": torch.randn(6, 5),
        "[B, T, C]": torch.randn(6, 7, 5),
        "[B, C, T]": torch.randn(6, 5, 7),
        "[B, C, H, W]": torch.randn(6, 5, 3, 4),
    }[shape]
    rows = y.movedim(-1, 1) if shape == "[B, T, C]" else y
    target = torch.randint(5, (rows.shape[0], *rows.shape[2:]))
    target.view(-1)[0] = -100
    expected = torch.nn.functional.cross_entropy(rows, target)
    found = measures.plain_loss(y, target, "classification")
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_the_plain_loss_of_numbers_and_of_yes_or_no() -> None:
    y, target = torch.randn(8, 1), torch.randn(8)
    squared = measures.plain_loss(y, target, "regression")
    assert squared is not None
    torch.testing.assert_close(squared, sum((a - b) ** 2 for a, b in zip(y[:, 0], target, strict=True)) / 8)
    chance = torch.rand(8, 1)
    binary = measures.plain_loss(y, chance, "classification")
    assert binary is not None
    torch.testing.assert_close(binary, torch.nn.functional.binary_cross_entropy_with_logits(y, chance))
    assert measures.plain_loss(y, torch.randn(3), "regression") is None


@pytest.mark.parametrize(
    ("answers", "labels"), [((8, 1), (8,)), ((8,), (8,)), ((8, 1), (8, 1)), ((8, 3), (8, 3))]
)
def test_whole_numbers_say_yes_or_no_where_there_is_one_answer_for_each(
    answers: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    y, target = torch.randn(answers), torch.randint(2, labels)
    found = measures.plain_loss(y, target, "classification")
    expected = torch.nn.functional.binary_cross_entropy_with_logits(y, target.float().reshape(answers))
    assert found is not None
    torch.testing.assert_close(found, expected)

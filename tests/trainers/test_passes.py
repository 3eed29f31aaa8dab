"""Both passes in one compiled piece: the training stays what it was, and nothing is compiled twice."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from said import essence, signals_of

from trainers.config import TrialConfig, config_from
from trainers.errors import SettingError
from trainers.loop import Training, train
from trainers.passes import LONG, _add
from trainers.progress import Progress

QUICK: dict[str, Any] = {"data": "digits", "max_samples": 400, "epochs": 2, "width": 12, "batch_size": 32}
RICH: dict[str, Any] = {
    **{"norm": "batch", "dropout": 0.2, "clip_norm": 1.0, "schedule": "cosine"},
    **{"optimizer": "momentum", "learning_rate": 0.02},  # Adam makes full steps of what is rounded
}

needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch compiles for the CPU by a C++ compiler, and there is none here",
)


def messages(stop: int | None = None, **settings: Any) -> list[Progress]:
    heard = []
    for progress in train(config_from({**QUICK, **settings})):
        if len(heard) == stop:
            break
        heard.append(progress)
    return heard


def facts_of(stream: list[Progress]) -> dict[str, Any]:
    return {name: value for progress in stream for name, value in progress.facts.items()}


def weights_in(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "weights.pt", weights_only=True)["weights"])


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@needs_a_compiler
def test_a_compiled_training_is_the_plain_one_but_for_rounding(tmp_path: Path) -> None:
    """The last batch is smaller; rows, random numbers and the names of the weights are the same."""
    settings = {**RICH, "seed": random.randrange(1000), "ema_decay": random.choice([None, 0.9])}
    plain = messages(**settings, folder=str(tmp_path / "plain"))
    before = graphs()
    compiled = messages(**settings, compile=True, folder=str(tmp_path / "compiled"))
    assert graphs() - before <= 1, "nothing is compiled for the smaller batch, or in the second epoch"
    assert facts_of(compiled)["compiled"] == 1 and "compiled" not in facts_of(plain)
    one, other = signals_of(plain), signals_of(compiled)
    assert one.keys() == other.keys() and "probe_error" not in other.facts
    for name in ("loss", "total_grad_norm", "update_norm", "output_grad", "answer_spread"):
        assert other[name].layers == one[name].layers
        assert np.allclose(other[name].values, one[name].values, rtol=1e-2, atol=1e-4), name
    a, b = weights_in(tmp_path / "plain"), weights_in(tmp_path / "compiled")
    assert a.keys() == b.keys()
    assert all(torch.allclose(a[name].float(), b[name].float(), atol=1e-3) for name in a)


@needs_a_compiler
def test_other_trials_of_the_same_shape_compile_nothing() -> None:
    messages(**RICH, compile=True)
    before = graphs()
    for optimizer in ("sgd", "adamw"):
        rate, size = 10 ** random.uniform(-4, -1), random.randrange(20, 60)
        others = {"optimizer": optimizer, "learning_rate": rate, "batch_size": size}
        others |= {"weight_decay": 0.01, "schedule": "one_cycle", "micro_batch": random.choice([None, 9])}
        stream = messages(**{**RICH, **others}, compile=True)
        assert facts_of(stream)["compiled"] == 1
    assert graphs() == before


@needs_a_compiler
def test_a_compiled_training_goes_on_from_its_state_bit_by_bit(tmp_path: Path) -> None:
    settings = {**RICH, "compile": True, "seed": random.randrange(1000)}
    whole = messages(**settings, folder=str(tmp_path / "whole"))
    part = {**settings, "folder": str(tmp_path / "part"), "save_every": 0.0}
    messages(random.randrange(1, len(whole)), **part)
    torch.manual_seed(random.randrange(1000))
    assert essence(messages(**part)) == essence(whole)
    a, b = weights_in(tmp_path / "whole"), weights_in(tmp_path / "part")
    assert all(torch.equal(a[name], b[name]) for name in a)


@needs_a_compiler
def test_where_a_compiled_training_turned_to_nan_is_found() -> None:
    settings = {**RICH, "optimizer": "sgd", "learning_rate": 1e30, "clip_norm": None, "schedule": "constant"}
    plain, compiled = messages(**settings), messages(**settings, compile=True)
    one, other = signals_of(plain).facts, signals_of(compiled).facts
    assert other["non_finite_step"] == one["non_finite_step"]
    assert other["non_finite_origin"] == one["non_finite_origin"] != "loss"


@needs_a_compiler
def test_the_gradient_of_parts_is_that_of_the_whole_with_its_penalty() -> None:
    """Of one training written out and one compiled in parts, with the penalty counted once."""
    settings = {**QUICK, "l1": 0.01, "seed": random.randrange(1000), "optimizer": "sgd", "depth": 1}
    plain = Training(config_from(settings))
    compiled = Training(config_from({**settings, "compile": True, "micro_batch": 12}))
    with plain.monitor, compiled.monitor:
        for one, other in zip(plain.batches(), compiled.batches(), strict=True):
            plain.step(one)
            compiled.step(other)
            if plain.steps == 7:
                break
    assert compiled.passes.is_compiled
    for a, b in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None and a.grad.stride() == b.grad.stride()
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5)


@needs_a_compiler
def test_what_cannot_be_compiled_is_trained_as_written_and_says_so(tmp_path: Path) -> None:
    settings = {"model": "gru", "seed": random.randrange(1000)}
    plain, tried = messages(**settings), messages(**settings, compile=True)
    assert [p.metrics for p in tried] == [p.metrics for p in plain]
    facts = facts_of(tried)
    assert facts["compiled"] == 0
    assert facts["not_compiled"].startswith("the compiler gave up: ") and "GRU" in facts["not_compiled"]
    part = {**settings, "compile": True, "folder": str(tmp_path), "save_every": 0.0}
    messages(random.randrange(1, len(plain)), **part)
    assert essence(messages(**part)) == essence(tried), "it is said once, also when it was interrupted"


@needs_a_compiler
def test_many_models_of_different_shapes_are_all_compiled() -> None:
    """Code for so many shapes is kept; for one more it is let go, and the training does not notice."""
    with torch._dynamo.config.patch(recompile_limit=1):
        for width in random.sample(range(4, 12), 2):
            settings = {"width": width, "depth": 1, "epochs": 1}
            plain, compiled = messages(**settings), messages(**settings, compile=True)
            assert facts_of(compiled)["compiled"] == 1
            assert compiled[-1].metrics == pytest.approx(plain[-1].metrics, abs=1e-4)


def test_without_a_compiler_it_is_an_error_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        SettingError, match=r"compile: there is no C\+\+ compiler 'no-such-compiler'.*choose false, or"
    ):
        messages(compile=True, device="cpu")
    facts = facts_of(messages(compile="auto", device="cpu", epochs=1))
    assert facts["compiled"] == 0 and "no-such-compiler" in facts["not_compiled"]


@needs_a_compiler
def test_by_itself_only_a_long_training_is_compiled() -> None:
    facts = facts_of(messages(compile="auto", device="cpu", epochs=1))
    assert facts["not_compiled"] == f"9 steps are too few to pay for it, {LONG} are enough"
    long = Training(config_from({**QUICK, "compile": "auto", "device": "cpu", "epochs": LONG // 9 + 1}))
    assert long.passes.is_compiled
    long.monitor.close()


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_other_values_are_mistakes(value: object) -> None:
    with pytest.raises(SettingError, match="compile: needs true, false or 'auto'"):
        TrialConfig(compile=value)  # type: ignore[arg-type]


def test_gradients_lie_as_their_parameters_do() -> None:
    parameter = torch.nn.Parameter(torch.randn(4, 3, 2, 2))
    gradient = torch.randn(4, 3, 2, 2)
    _add(parameter, gradient.to(memory_format=torch.channels_last))
    assert parameter.grad is not None and parameter.grad.stride() == parameter.stride()
    _add(parameter, gradient)
    assert torch.equal(parameter.grad, 2 * gradient)

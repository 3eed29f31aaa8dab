"""Fine-tuning from trained weights."""

from dataclasses import asdict

import pytest
import torch

from trainers.config import TrialConfig
from trainers.errors import SettingError
from trainers.models import MODELS, build_model
from trainers.models.weights import load_weights
from trainers.shapes import Shapes

SHAPES = {
    "features": Shapes("features", (6,), 3, "classification"),
    "image": Shapes("image", (2, 6, 5), 3, "classification"),
    "tokens": Shapes("tokens", (6,), 7, "classification", vocabulary=7),
}
READS = [(name, kind) for name, model in MODELS.items() for kind in model.reads]


def settings(model, **others):
    return TrialConfig(**{"model": model, "width": 8, "channels": 4, **others})


def samples(shapes):
    if shapes.kind == "tokens":
        return torch.randint(0, shapes.vocabulary, (4, *shapes.inputs))
    return torch.randn(4, *shapes.inputs)


@pytest.fixture
def saved(tmp_path):
    """Saves a model with fresh weights; gives the model and its file."""

    def save(config, shapes):
        model = build_model(config, shapes)
        path = str(tmp_path / "best.pt")
        told = {"settings": config.settings(), "shapes": asdict(shapes)}
        torch.save({"weights": model.state_dict(), **told}, path)
        return model, path

    return save


@pytest.mark.parametrize(("model", "kind"), READS)
def test_fine_tuning_starts_from_the_saved_weights(saved, model, kind):
    shapes = SHAPES[kind]
    x = samples(shapes)
    before, path = saved(settings(model, norm="batch"), shapes)
    after = build_model(settings(model, norm="batch", checkpoint=path), shapes)
    assert torch.equal(before.eval()(x), after.eval()(x))


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet", "lstm"])
def test_a_changed_output_layer_is_left_new(saved, model):
    shapes = SHAPES["image"]
    before, path = saved(settings(model), shapes)
    wider = Shapes("image", shapes.inputs, 9, "classification")
    after = build_model(settings(model, checkpoint=path), wider)
    for name, value in after.state_dict().items():
        old = before.state_dict()[name]
        assert name.startswith("head.") or torch.equal(value, old)
    assert after.head.out_features == 9 and after.head.weight.std() > 0


def test_every_other_mismatch_is_named(saved):
    _, path = saved(settings("mlp", norm="batch", depth=1), SHAPES["features"])
    with pytest.raises(SettingError) as caught:
        build_model(settings("mlp", width=9, checkpoint=path), SHAPES["features"])
    said = caught.value.mistakes["checkpoint"]
    assert repr(path) in said
    assert "hidden1.linear.weight is (8, 6) in the file and (9, 6) in the model" in said
    assert "tensors the file lacks: hidden1.linear.bias (9,), hidden2.linear.weight (9, 9)" in said
    assert "tensors the model lacks: hidden1.norm.weight (8,)" in said
    assert "head." not in said and "choose the settings the weights were trained with" in said


def test_a_mismatch_leaves_the_model_as_it_was(saved):
    _, path = saved(settings("mlp", depth=1), SHAPES["features"])
    model = build_model(settings("mlp", depth=3), SHAPES["features"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(SettingError):
        load_weights(model, path)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_many_mismatches_are_shortened(saved):
    _, path = saved(settings("mlp", depth=20), SHAPES["features"])
    with pytest.raises(SettingError, match=r"hidden4\.linear\.weight \(8, 8\) and 33 more"):
        build_model(settings("mlp", depth=1, checkpoint=path), SHAPES["features"])


class Trap:
    """A pickle that would run code when it is read."""

    def __reduce__(self):
        return (pytest.fail, ("the file was executed",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be opened: No such file or directory"),
        (b"not a file of torch", "cannot be read as weights: "),
        (Trap(), "cannot be read as weights: UnpicklingError"),
        ({"state": 1}, "needs an entry 'weights', but holds ['state']"),
        (torch.zeros(3), "needs an entry 'weights', but holds 'Tensor'"),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path, content, said):
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(SettingError) as caught:
        build_model(settings("mlp", checkpoint=str(path)), SHAPES["features"])
    problem = caught.value.mistakes["checkpoint"]
    assert repr(str(path)) in problem and said in problem
    assert problem.endswith("give a file as `searcher best --model` saves it")

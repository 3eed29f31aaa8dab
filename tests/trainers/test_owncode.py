"""Own code by name, and models that come from it."""

import itertools
import sys

import pytest
import torch
from torch import nn

from trainers.config import config_from
from trainers.errors import OwnCodeError, SettingError
from trainers.models import build_model
from trainers.owncode import load_object
from trainers.shapes import Shapes

FEATURES = Shapes("features", (4,), 3, "classification")
TOKENS = Shapes("tokens", (6,), 5, "classification", vocabulary=5)
NUMBERS = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of a fresh name into the working folder and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])

    def write(code):
        name = f"own_code_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return write


@pytest.fixture
def own_model(module):
    """Builds a model from the code of a function's body, with torch and nn at hand."""

    def build(body, shapes=FEATURES, **settings):
        lines = "\n".join("    " + line for line in body.strip().splitlines())
        name = module(f"import torch\nfrom torch import nn\n\ndef build(settings, shapes):\n{lines}")
        return build_model(config_from({"model": f"{name}:build", **settings}), shapes)

    return build


def test_own_code_is_found_in_the_working_folder(module):
    name = module("def build():\n    return 7")
    assert load_object(f"{name}:build", "model")() == 7


def test_own_code_is_found_in_a_package_and_may_import_its_neighbours_late(module, tmp_path):
    package, neighbour = module(""), module("value = 11")
    (tmp_path / f"{package}.py").unlink()
    (tmp_path / package).mkdir()
    code = f"def build():\n    import {neighbour}\n    return {neighbour}.value"
    (tmp_path / package / "inner.py").write_text(code)
    assert load_object(f"{package}.inner:build", "model")() == 11


@pytest.mark.parametrize("path", ["build", ":build", "module:", "a b:c", "a:b:c", "folder/a.py:b"])
def test_a_path_that_is_not_module_and_name(path):
    with pytest.raises(OwnCodeError, match=r"data: own code is named as 'package.module:name'"):
        load_object(path, "data")


def test_a_module_that_is_not_there_names_the_working_folder(module, tmp_path):
    module("")
    with pytest.raises(OwnCodeError) as caught:
        load_object("not_there_at_all.inner:build", "model")
    said = str(caught.value)
    assert said.startswith("model: module 'not_there_at_all.inner' of 'not_there_at_all.inner:build'")
    assert "ModuleNotFoundError: No module named 'not_there_at_all'" in said
    assert f"the working folder ({tmp_path})" in said


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("def build(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_fails_while_it_is_imported_says_why(module, code, cause):
    with pytest.raises(OwnCodeError, match="cannot be imported") as caught:
        load_object(f"{module(code)}:build", "model")
    assert cause in str(caught.value) and caught.value.__cause__ is not None


def test_a_name_the_module_lacks_shows_the_near_ones(module):
    code = "from math import sqrt\nbuilt = 1\ndef build(): ...\ndef other(): ...\ndef _no(): ..."
    name = module(code)
    with pytest.raises(OwnCodeError) as caught:
        load_object(f"{name}:biuld", "model")
    said = str(caught.value)
    assert f"in module '{name}'" in said and f"{name}.py" in said
    assert "there is no 'biuld'; did you mean 'build'? known: build, other" in said
    with pytest.raises(OwnCodeError, match="there is no 'build', nor any function"):
        load_object(f"{module('value = 1')}:build", "model")


def test_a_name_that_cannot_be_called(module):
    name = module("build = {'a': 1}")
    with pytest.raises(OwnCodeError, match=r"cannot be called: it is \{'a': 1\}, of type 'dict'"):
        load_object(f"{name}:build", "model")


def test_an_own_model_gets_the_settings_and_the_shapes(own_model):
    model = own_model(
        "return nn.Sequential(nn.Linear(shapes.inputs[0], settings['mine']), "
        "nn.Linear(settings['mine'], settings['width'] - 125))",
        mine=17,
        width=128,
    )
    assert model[0].out_features == 17
    assert model(torch.randn(5, 4)).shape == (5, 3)


def test_an_own_model_keeps_its_weights_unless_it_asks(own_model):
    body = "model = nn.Linear(4, 3)\nnn.init.constant_(model.weight, 0.5)\n"
    kept = own_model(body + "return model", init="constant", init_value=0.25)
    assert torch.equal(kept.weight, torch.full((3, 4), 0.5))
    asking = body + "model.initialized_by_settings = True\nreturn model"
    filled = own_model(asking, init="constant", init_value=0.25)
    assert torch.equal(filled.weight, torch.full((3, 4), 0.25))


def test_an_own_model_of_tokens_answers_at_every_place(own_model):
    model = own_model("return nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 5))", TOKENS)
    assert model(torch.zeros(3, 6, dtype=torch.long)).shape == (3, 6, 5)


def test_lazy_layers_are_made_by_the_dry_run(own_model):
    model = own_model("return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Linear(8, 3))")
    assert model[0].weight.shape == (8, 4)


TRACES = """
class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3).eval()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(2))
    def forward(self, x):
        self.calls += 1
        self.replaced = self.replaced + 1
        return self.norm(self.layer(x)) + torch.rand(())
return Counting()
"""


def test_the_dry_run_leaves_no_trace(own_model):
    torch.manual_seed(5)
    torch.nn.Linear(4, 3)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = own_model(TRACES)
    assert torch.equal(torch.rand(3), expected)
    assert model.calls == 0 and torch.equal(model.replaced, torch.zeros(2))
    assert model.training and model.layer.training and not model.norm.training
    assert model.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 3", "must return a torch.nn.Module, but returned 3 of type 'int'"),
        ("return settings['missing']", "failed with KeyError: 'missing'"),
        (
            "return nn.Linear(4, 2)",
            "must answer a batch of shape (2, 4) with floats of shape (2, 3), but gave (2, 2)",
        ),
        ("return nn.Linear(7, 3)", "(2, 3), but failed with RuntimeError: mat1 and mat2"),
        ("return nn.LSTM(4, 3)", "of type 'tuple'; return the raw outputs alone from forward"),
        ("return nn.Flatten()", "but gave (2, 4) of torch.float32; its last layer has to give"),
        (
            "return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), type('Whole', (nn.Module,), "
            "{'forward': lambda self, x: x.long()})())",
            "but gave (2, 3) of torch.int64",
        ),
        ("return nn.Linear(4, 3).requires_grad_(False)", "must have parameters to train"),
    ],
)
def test_what_an_own_model_does_wrong_is_said(own_model, body, said):
    with pytest.raises(OwnCodeError) as caught:
        own_model(body)
    assert str(caught.value).startswith("model: 'own_code_") and said in str(caught.value)


def test_an_own_model_of_tokens_with_one_answer_per_text_is_refused(own_model):
    body = "return nn.Sequential(nn.Embedding(5, 8), nn.Flatten(), nn.Linear(48, 5))"
    with pytest.raises(OwnCodeError, match=r"\(2, 6\) with floats of shape \(2, 6, 5\), but gave"):
        own_model(body, TOKENS)


def test_own_code_may_refuse_its_settings_itself(own_model):
    body = "from trainers.errors import SettingError\nraise SettingError({'width': 'too wide'})"
    with pytest.raises(SettingError, match="width: too wide"):
        own_model(body)


def test_a_failing_dry_run_gives_the_modes_back(module):
    name = module(
        "from torch import nn\nmade = []\n"
        "def build(settings, shapes):\n    made.append(nn.Linear(9, 3))\n    return made[0]"
    )
    with pytest.raises(OwnCodeError):
        build_model(config_from({"model": f"{name}:build"}), FEATURES)
    assert isinstance(sys.modules[name].made[0], nn.Linear) and sys.modules[name].made[0].training

"""Every model of the table: shapes, what may be combined, that it learns, and fine-tuning."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainers.config import TrialConfig
from trainers.errors import SettingError
from trainers.losses import loss_function
from trainers.models import MODELS, build_model
from trainers.models.recurrent import AnyRNN
from trainers.parts.activations import ACTIVATIONS
from trainers.parts.dropouts import DROPOUTS
from trainers.parts.norms import NORMS
from trainers.parts.optimizers import head_parameters
from trainers.shapes import Shapes

SHAPES = {
    "features": Shapes("features", (6,), 3, "classification"),
    "image": Shapes("image", (2, 6, 5), 3, "classification"),
    "tokens": Shapes("tokens", (6,), 7, "classification", vocabulary=7),
}
READS = [(name, kind) for name, model in MODELS.items() for kind in model.reads]
RECURRENT = ("rnn", "lstm", "gru")


def settings(model, **others):
    return TrialConfig(**{"model": model, "width": 8, "channels": 4, "norm_groups": 2, **others})


def batch(shapes, n=4):
    if shapes.kind == "tokens":
        x = torch.randint(0, shapes.vocabulary, (n, *shapes.inputs))
        return x, torch.randint(0, shapes.outputs, x.shape)
    return torch.randn(n, *shapes.inputs), torch.randint(0, shapes.outputs, (n,))


def answer_shape(shapes, n=4):
    return (n, *(shapes.inputs if shapes.kind == "tokens" else ()), shapes.outputs)


def check_steps(config, shapes):
    """Two training steps: outputs fit, all stays finite, every parameter is reached."""
    model = build_model(config, shapes)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x, y = batch(shapes)
    for _ in range(2):
        optimizer.zero_grad()
        answer = model(x)
        loss_function(shapes.task, config)(answer, y).backward()
        assert answer.shape == answer_shape(shapes) and answer.isfinite().all()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        optimizer.step()
    return model


@pytest.mark.parametrize("dropout_kind", DROPOUTS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("model", MODELS)
def test_every_norm_and_dropout_works_in_every_model_that_may_have_it(model, norm, dropout_kind):
    others = {"norm": norm, "dropout_kind": dropout_kind, "dropout": 0.3}
    if not MODELS[model].spatial and (NORMS[norm].spatial or DROPOUTS[dropout_kind].spatial):
        with pytest.raises(SettingError, match="needs a model with pixels"):
            settings(model, **others)
        return
    for kind in MODELS[model].reads:
        check_steps(settings(model, activation="tanh", **others), SHAPES[kind])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_activation_works_in_every_model(model, activation):
    config = settings(model, activation=activation, norm="layer")
    if (model, activation) == ("rnn", "maxout"):
        with pytest.raises(SettingError, match=r"but got 'maxout'; choose from: identity, sigm"):
            build_model(config, SHAPES["image"])
        return
    check_steps(config, SHAPES[MODELS[model].reads[-1]])


@pytest.mark.parametrize(
    ("model", "norm"),
    [(m, n) for m in MODELS for n in NORMS if MODELS[m].spatial or not NORMS[n].spatial],
)
def test_no_parameter_is_without_effect(model, norm):
    """Every parameter gets a gradient that is more than rounding."""
    for kind in MODELS[model].reads:
        built = check_steps(settings(model, norm=norm, activation="softplus"), SHAPES[kind])
        sizes = {name: p.grad.abs().max().item() for name, p in built.named_parameters()}
        assert min(sizes.values()) > 1e-5 * max(sizes.values()), sizes


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("model", "kind"), READS)
def test_depth_is_the_number_of_hidden_layers(model, kind, depth):
    built = check_steps(settings(model, depth=depth), SHAPES[kind])
    top = dict(built.named_children())
    stages = dict(top["hidden"].named_children()) if model in RECURRENT else top
    hidden = [name for name in stages if name.startswith(("hidden", "stage", "layer"))]
    assert len(hidden) == depth


@pytest.mark.parametrize(("model", "kind"), READS)
def test_the_output_layer_is_linear_and_has_no_activation_behind_it(model, kind):
    shapes = SHAPES[kind]
    built = build_model(settings(model, activation="sigmoid", norm="layer"), shapes).eval()
    x, _ = batch(shapes)
    head = next(module for name, module in built.named_modules() if name == "head")
    assert type(head) is nn.Linear and list(built.children())[-1] is head
    before = built(x)
    with torch.no_grad():
        head.weight.mul_(-1000)
    assert torch.allclose(built(x), -1000 * before, rtol=1e-3, atol=0.1)
    assert built(x).abs().max() > 10
    assert head_parameters(built) == {id(head.weight), id(head.bias)}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_shows_only_parts_that_do_something(model):
    built = build_model(settings(model, dropout_kind="channel", norm="none"), SHAPES["image"])
    idle = (nn.Identity, nn.Dropout, nn.Dropout2d)
    assert not [name for name, module in built.named_modules() if isinstance(module, idle)]
    plain = dict(built.named_parameters())
    normed = dict(build_model(settings(model, norm="layer"), SHAPES["image"]).named_parameters())
    assert plain.keys() < normed.keys()


def learnable(shapes):
    if shapes.kind == "tokens":
        start = torch.randint(0, shapes.vocabulary, (64, 1))
        x = (start + torch.arange(shapes.inputs[0] + 1)) % shapes.vocabulary
        return x[:, :-1], x[:, 1:]
    x = torch.randn(64, *shapes.inputs)
    means = torch.stack([x[:, ..., :2].flatten(1).mean(1), x.flatten(1).mean(1)], 1)
    y = (means[:, 0] > 0).long() + (means[:, 0] > 0.5 * means[:, 1].abs()).long()
    return x, y


@pytest.mark.parametrize(("model", "kind"), READS)
def test_the_defaults_learn_a_small_task(model, kind):
    config, shapes = TrialConfig(model=model), SHAPES[kind]
    x, y = learnable(shapes)
    built, loss = build_model(config, shapes), loss_function(shapes.task, config)
    optimizer = torch.optim.Adam(built.parameters(), 3e-3)
    first = now = loss(built(x), y)
    for _ in range(150):
        if now < 0.4 * min(first.item(), math.log(shapes.outputs)):
            return
        optimizer.zero_grad()
        now.backward()
        optimizer.step()
        now = loss(built(x), y)
    pytest.fail(f"the loss fell from {first:.3f} to {now:.3f} only")


@pytest.mark.parametrize("kind", [name for name in DROPOUTS if name != "none"])
@pytest.mark.parametrize("model", MODELS)
def test_dropouts_act_in_training_only_and_not_at_rate_zero(model, kind):
    shapes = SHAPES[MODELS[model].reads[-1]]
    x, _ = batch(shapes)
    for rate in (0.0, 0.5):
        if rate and DROPOUTS[kind].spatial and not MODELS[model].spatial:
            continue
        built = build_model(settings(model, dropout_kind=kind, dropout=rate), shapes)
        assert torch.equal(built(x), built(x)) == (rate == 0)
        built.eval()
        assert torch.equal(built(x), built(x))


def test_dropconnect_drops_weights_of_hidden_layers_and_not_of_the_output_layer():
    for name, model in MODELS.items():
        config = settings(name, dropout_kind="dropconnect", dropout=0.5)
        built = build_model(config, SHAPES[model.reads[-1]])
        assert type(built.head) is nn.Linear
    built = build_model(settings("lstm", dropout_kind="dropconnect", dropout=0.5, depth=1), SHAPES["tokens"])
    plain = build_model(settings("lstm", depth=1), SHAPES["tokens"])
    plain.load_state_dict(built.state_dict())
    x, _ = batch(SHAPES["tokens"])
    assert torch.equal(built.eval()(x), plain(x))
    assert torch.equal(built.train()(x)[:, 0], plain(x)[:, 0])  # no state yet, nothing to drop
    assert not torch.equal(built(x)[:, 1:], plain(x)[:, 1:])


@pytest.mark.parametrize(("pooling", "twin"), [("max", F.max_pool2d), ("mean", F.avg_pool2d)])
def test_the_cnn_equals_its_twin(pooling, twin):
    built = build_model(settings("cnn", pooling=pooling, activation="tanh"), SHAPES["image"])
    x, _ = batch(SHAPES["image"])
    y = x
    for stage in (built.stage1, built.stage2):
        y = twin(F.conv2d(y, stage.convolution.weight, stage.convolution.bias, padding=1).tanh(), 2)
    assert torch.allclose(built(x), built.head(y.flatten(1)), atol=1e-6)


def test_the_cnn_doubles_channels_and_pools_while_the_map_is_larger_than_one():
    built = build_model(settings("cnn", depth=5), Shapes("image", (1, 8, 3), 3, "classification"))
    convolutions = [m.out_channels for m in built.modules() if isinstance(m, nn.Conv2d)]
    windows = [m.kernel_size for m in built.modules() if isinstance(m, nn.MaxPool2d)]
    assert convolutions == [4, 8, 16, 32, 32]
    assert windows == [(2, 2), (2, 1), (2, 1)]
    assert built(torch.randn(2, 1, 8, 3)).shape == (2, 3)


@pytest.mark.parametrize("sides", list(itertools.product((1, 2, 33, 200), repeat=2)))
def test_the_output_layer_of_the_cnn_stays_small_on_large_images(sides):
    built = build_model(settings("cnn", depth=1), Shapes("image", (1, *sides), 3, "classification"))
    assert built(torch.randn(2, 1, *sides)).shape == (2, 3)
    assert built.head.in_features <= 4 * 64


def test_the_resnet_equals_its_twin():
    built = build_model(settings("resnet", activation="tanh"), SHAPES["image"])
    x, _ = batch(SHAPES["image"])

    def conv(layer, y, **options):
        return F.conv2d(y, layer.convolution.weight, layer.convolution.bias, **options)

    y = conv(built.stem, x, padding=1).tanh()
    for stage, stride in ((built.stage1, 1), (built.stage2, 2)):
        for block, step in ((stage.block1, stride), (stage.block2, 1)):
            inner = conv(block.first, y, padding=1, stride=step).tanh()
            short = conv(block.shortcut, y, stride=step) if step == 2 else y
            y = (conv(block.second, inner, padding=1) + short).tanh()
    assert torch.allclose(built(x), built.head(y.mean((2, 3))), atol=1e-6)


def test_the_resnet_halves_the_map_only_while_it_is_larger_than_one():
    built = build_model(settings("resnet", depth=4), SHAPES["image"])
    sizes = []
    for name in ("stage1", "stage2", "stage3", "stage4"):
        built.get_submodule(name).register_forward_hook(lambda m, i, y: sizes.append(y.shape[1:]))
    built(torch.randn(2, 2, 3, 2))
    assert [tuple(size) for size in sizes] == [(4, 3, 2), (8, 2, 1), (16, 1, 1), (32, 1, 1)]


@pytest.mark.parametrize("model", RECURRENT)
def test_a_place_is_answered_from_what_came_before_it(model):
    built = build_model(settings(model, norm="batch"), SHAPES["tokens"]).eval()
    x, _ = batch(SHAPES["tokens"])
    changed = x.clone()
    changed[:, 3] = (x[:, 3] + 1) % 7
    same = torch.isclose(built(x), built(changed)).all(2).all(0)
    assert same[:3].all() and not same[3:].any()


@pytest.mark.parametrize("model", RECURRENT)
def test_images_are_read_by_rows_and_answered_at_the_last_one(model):
    built = build_model(settings(model, depth=1), SHAPES["image"])
    x, _ = batch(SHAPES["image"])
    rows = torch.stack([torch.cat([image[0], image[1]], dim=1) for image in x])
    states = built.hidden.layer1.recurrent(rows)[0]
    assert torch.allclose(built(x), built.head(states[:, -1]), atol=1e-6)


def test_the_network_of_any_activation_equals_torchs_own():
    own, torchs = AnyRNN(3, 5, nn.Tanh()), nn.RNN(3, 5, batch_first=True)
    own.load_state_dict(torchs.state_dict())
    x = torch.randn(4, 7, 3)
    for found, expected in zip(own(x), torchs(x), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("model", "kind"), sorted(set(itertools.product(MODELS, SHAPES)) - set(READS)))
def test_a_model_refuses_data_it_cannot_read_and_says_which_can(model, kind):
    with pytest.raises(SettingError) as caught:
        build_model(settings(model), SHAPES[kind])
    said, choices = caught.value.mistakes["model"].split("; choose from: ")
    assert said.startswith(f"'{model}' reads ") and f"but the data are {kind} of shape" in said
    assert choices.split(", ") == [name for name, reads in READS if reads == kind]


@pytest.mark.parametrize("model", MODELS)
def test_models_are_initialised_by_the_settings(model):
    shapes = SHAPES[MODELS[model].reads[-1]]
    built = build_model(settings(model, init="constant", init_value=0.125), shapes)
    weights = [p for n, p in built.named_parameters() if p.ndim > 1 and "embedding" not in n]
    assert weights and all((weight == 0.125).all() for weight in weights)

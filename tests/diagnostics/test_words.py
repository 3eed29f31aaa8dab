"""Layers in sentences: by their names, and by what they are where a number is all the name they have."""

from __future__ import annotations

import torch
from torch import nn

from diagnostics import Monitor
from diagnostics.evidence.words import layer_words, listed
from diagnostics.measuring.cadence import Fixed
from diagnostics.report import to_text

SEQUENTIAL = {"numbered_modules": "0=Linear,1=ReLU,2.0=Linear"}


def test_numbers_are_called_layers_and_names_stay_as_they_are() -> None:
    said = {
        "1": "layer 1 (ReLU)",
        "2.0": "layer 2.0 (Linear)",
        "10": "layer 10",
        "0.weight": "layer 0.weight",
        "1.input": "the input of layer 1 (ReLU)",
        "hidden1": "hidden1",
        "hidden1.input": "hidden1.input",
        "feature 3": "feature 3",
    }
    assert {name: layer_words(name, SEQUENTIAL) for name in said} == said
    assert layer_words("1", {}) == "layer 1"
    assert listed(["0", "hidden1", "1", "4", "5"], SEQUENTIAL) == (
        "layer 0 (Linear), hidden1, layer 1 (ReLU) and 2 more"
    )


def test_the_dead_layer_of_a_sequential_model_is_called_by_its_kind() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.constant_(model[2].bias, -100.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Monitor(model, optimizer, num_classes=3, cadence=Fixed()) as monitor:
        for _ in range(60):
            x, y = torch.randn(32, 4), torch.randint(3, (32,))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            monitor.step(loss, batch=(x, y))
    text = " ".join(to_text(monitor.report()).split())
    assert "no unit of layer 3 (ReLU) has fired since step 0" in text
    assert "dead-units at step 0 in layer 3" in text

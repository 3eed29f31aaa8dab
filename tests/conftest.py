"""What all tests share."""

from __future__ import annotations

import os

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh random numbers. A test that fails shows their seed; `TEST_SEED` in the environment repeats it."""
    seed = int(os.environ.get("TEST_SEED", np.random.default_rng().integers(2**32)))
    print(f"random numbers of this test: TEST_SEED={seed}")
    return np.random.default_rng(seed)

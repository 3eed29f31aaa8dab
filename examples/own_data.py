"""Own data: breast tumours from scikit-learn, with the choice which measurements to learn from.

`load(settings)` gets every setting of the trial and returns `(x, y)`: arrays or tensors with one row
for each sample. Splitting, scaling and telling classes from numbers are done for you.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

COLUMNS = {"mean": slice(0, 10), "worst": slice(20, 30), "all": slice(0, 30)}
"""Where the 30 measurements of a tumour lie: means, standard errors, worst values, ten each."""


def load(settings: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """569 tumours; `measurements` is a setting that only this file knows."""
    tumours = load_breast_cancer()
    x = tumours.data[:, COLUMNS[settings["measurements"]]]
    y = np.array(tumours.target_names)[tumours.target]  # names become classes by themselves
    return x, y

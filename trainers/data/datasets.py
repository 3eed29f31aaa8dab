"""The data sets known by name, and the kinds of files known by suffix. A new one is one line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trainers.data.arrays import check_npz, read_npz, samples_of
from trainers.data.csv_files import check_csv, read_csv
from trainers.data.idx import read_idx_set
from trainers.data.image_folders import check_images, read_images
from trainers.data.parquet_files import check_parquet, read_parquet
from trainers.data.samples import Samples
from trainers.data.sources import File, Settings, Source
from trainers.data.texts import check_text, read_text

GARMENTS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"),
    *("relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week"),
    *("native-country", "income"),
)
FASHION = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)


def read_digits(files: Sequence[Path], settings: Settings) -> Samples:
    """1,797 handwritten digits, 8x8 grey in 17 steps, from scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    names = tuple(str(name) for name in digits.target_names)
    return samples_of(digits.images, digits.target, task=settings["task"], class_names=names)


def read_diabetes(files: Sequence[Path], settings: Settings) -> Samples:
    """442 patients, 10 measurements, the disease a year later, from scikit-learn, in own units."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    task = "regression" if settings["task"] == "auto" else settings["task"]
    return samples_of(table.data, table.target, task=task, feature_names=table.feature_names)


def _fashion(name: str, sha256: str) -> File:
    return File(name, sha256, tuple(home + name for home in FASHION))


DATASETS: dict[str, Source] = {
    "digits": Source("image", read_digits),
    "diabetes": Source("features", read_diabetes),
    "fashion-mnist": Source(
        "image",
        partial(read_idx_set, class_names=GARMENTS),
        (
            _fashion(
                "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            _fashion(
                "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            _fashion(
                "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            _fashion(
                "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    "adult": Source(
        "features",
        partial(read_csv, names=ADULT_COLUMNS, target="income"),
        (
            File(
                "adult-train.csv",
                "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
                (
                    "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data",
                    "https://raw.githubusercontent.com/jbrownlee/Datasets/master/adult-train.csv",
                ),
            ),
        ),
        partial(check_csv, names=ADULT_COLUMNS, target="income"),
    ),
    "tinyshakespeare": Source(
        "tokens",
        read_text,
        (
            File(
                "input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                (
                    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
                    "tinyshakespeare/input.txt",
                ),
            ),
        ),
        check_text,
    ),
}

FORMATS: dict[str, Source] = {
    ".csv": Source("features", read_csv, check=check_csv),
    ".tsv": Source("features", read_csv, check=check_csv),
    ".data": Source("features", read_csv, check=check_csv),
    ".parquet": Source("features", read_parquet, check=check_parquet),
    ".npz": Source(None, read_npz, check=check_npz),
    ".txt": Source("tokens", read_text, check=check_text),
}

IMAGE_FOLDER = Source("image", read_images, check=check_images)

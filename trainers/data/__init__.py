"""Data sets: a name, a path or own code in, `Splits` ready to train on out."""

from trainers.data.datasets import DATASETS
from trainers.data.finding import data_kind, find_source
from trainers.data.loading import check_data, forget_data, load_data
from trainers.data.samples import Column, Samples, Split, Splits
from trainers.data.sources import File, Source

__all__ = [
    "DATASETS",
    "Column",
    "File",
    "Samples",
    "Source",
    "Split",
    "Splits",
    "check_data",
    "data_kind",
    "find_source",
    "forget_data",
    "load_data",
]

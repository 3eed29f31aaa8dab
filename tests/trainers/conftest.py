"""What several tests of the trainers share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainers.data import forget_data


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with no other folder of data known and no data remembered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHER_DATA", raising=False)
    forget_data()
    return tmp_path


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets beside the repository; tests that need it are skipped without it."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    for folder in (os.environ.get("SEARCHER_DATA"), beside):
        if folder and (Path(folder) / "fashion-mnist").is_dir():
            return Path(folder)
    pytest.skip(f"needs the real data sets in {beside}, or in a folder named by SEARCHER_DATA")

"""The section of a study file that says where trials are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
"""Of a part of a study file: what it does not know is a mistake."""


def _read_sharing(raw: object) -> object:
    is_number = isinstance(raw, int) and not isinstance(raw, bool) and raw >= 1
    if raw is None or raw == "auto" or is_number:
        return raw
    raise ValueError(f"needs a whole number from 1, or 'auto', but got {raw!r}")


def _read_devices(raw: object) -> object:
    named = isinstance(raw, list) and raw and all(isinstance(name, str) and name for name in raw)
    if raw is not None and not named:
        raise ValueError(f"needs a list of names, such as ['0', '1'] or ['cpu'], but got {raw!r}")
    if isinstance(raw, list) and "cpu" in raw and len(raw) > 1:
        raise ValueError(f"'cpu' has to stand alone, but got {raw!r}; name GPUs, or 'cpu'")
    return raw


class Dispatch(BaseModel):
    """Where trials are trained."""

    model_config = STRICT

    launcher: str = "local"
    slots: int | None = Field(default=None, ge=1)  # none: one per GPU, or one per core without a GPU
    slots_per_device: Annotated[int | Literal["auto"] | None, BeforeValidator(_read_sharing)] = None
    devices: Annotated[list[str] | None, BeforeValidator(_read_devices)] = None  # none: all there are
    memory_gb: float | None = Field(default=None, gt=0)  # of the host, for one worker; none: no limit
    address: str | None = None  # of a Ray cluster
    timeout_minutes: float | None = Field(default=None, gt=0)  # of one attempt at a trial
    hang_minutes: float = Field(default=10.0, gt=0)  # the shortest silence that can be a hang
    state_seconds: float = Field(default=60.0, gt=0)  # between two states of a trial on disk, at least
    states_gb: float = Field(default=10.0, gt=0)  # all states of the running trials may take
    grace_seconds: float = Field(default=60.0, ge=1)  # until a silent coordinator counts as dead

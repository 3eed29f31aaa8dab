"""What a launcher is made from: where trials may train, and how much they may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from searcher.dispatch import Dispatch

SAMPLE_SECONDS = 5.0
"""How often a worker measures what its training takes."""


@dataclass(frozen=True)
class Site:
    """Where to train.

    `folder` holds the workers' logs; `device` is the setting of the study. `slots` counts places in all,
    `slots_per_device` those that share a device, `devices` names the devices (none of them given: all there
    are). `memory_gb` is the host memory of one worker, `address` that of a Ray cluster.
    """

    folder: Path
    device: str = "auto"
    slots: int | None = None
    slots_per_device: int | Literal["auto"] | None = None
    devices: tuple[str, ...] | None = None
    memory_gb: float | None = None
    address: str | None = None
    sample_seconds: float = SAMPLE_SECONDS

    @classmethod
    def of(cls, dispatch: Dispatch, device: str, folder: Path) -> Site:
        """The site that a study's section `[dispatch]` asks for."""
        return cls(
            folder,
            device,
            dispatch.slots,
            dispatch.slots_per_device,
            None if dispatch.devices is None else tuple(dispatch.devices),
            dispatch.memory_gb,
            dispatch.address,
        )

"""What people tell a running study from another terminal or machine. Pure: plain attributes in and out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

ORDER, ENDED = "searcher:order", "searcher:ended"
"""Where, among the attributes of a study, its order stands, and those trials that people have ended."""


class Order(StrEnum):
    """What a study is told to do; with `now` its running trials are put back into the queue as well."""

    GO_ON = "go on"
    PAUSE = "pause"
    PAUSE_NOW = "pause now"
    STOP = "stop"
    STOP_NOW = "stop now"

    @property
    def stops(self) -> bool:
        """Whether coordinators leave the study."""
        return self in (Order.STOP, Order.STOP_NOW)

    @property
    def at_once(self) -> bool:
        """Whether running trials are not waited for."""
        return self in (Order.PAUSE_NOW, Order.STOP_NOW)


@dataclass(frozen=True)
class Orders:
    """The order that holds, and who `ended` which running trials: number -> name."""

    order: Order = Order.GO_ON
    ended: Mapping[int, str] | None = None

    def who_ended(self, number: int) -> str:
        """Who has ended this trial; empty when nobody has."""
        return (self.ended or {}).get(number, "")


def orders_of(attributes: Mapping[str, Any]) -> Orders:
    """The orders among a study's attributes."""
    ended = {int(number): str(who) for number, who in attributes.get(ENDED, {}).items()}
    return Orders(Order(attributes.get(ORDER, Order.GO_ON)), ended)

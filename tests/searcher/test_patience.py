"""How long things are waited for, and what people may order meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import searcher.patience
from searcher.dispatch import Dispatch
from searcher.errors import StorageError
from searcher.launchers.job import End
from searcher.orders import ENDED, ORDER, Order, Orders, orders_of
from searcher.patience import PAUSE_SECONDS, SEVERAL, STORE_SECONDS, Patience, patiently

LEAST = 60.0


def patience(began: float = 0.0, timeout: float | None = None) -> Patience:
    return Patience(began, timeout, LEAST)


def test_a_study_file_gives_minutes_and_the_clock_seconds() -> None:
    clock = Patience.of(Dispatch(timeout_minutes=3, hang_minutes=0.5), now=100.0)
    assert (clock.began, clock.timeout, clock.least) == (100.0, 180.0, 30.0)
    assert Patience.of(Dispatch(), now=0.0).timeout is None


def test_before_the_second_message_no_silence_is_a_hang() -> None:
    clock = patience()
    assert clock.lost(1e6) is None, "it may be loading data"
    clock.heard(1e6)
    assert clock.lost(2e6) is None, "how long it takes between two messages is not known yet"
    clock.heard(2e6)
    clock.heard(2e6 + 1)
    assert clock.lost(2e6 + 1 + SEVERAL * 1e6 - 1) is None


def test_a_silence_is_a_hang_when_it_is_long_and_much_longer_than_any_before(
    rng: np.random.Generator,
) -> None:
    gaps = rng.uniform(0.1, 30, 20)
    clock, now = patience(), 0.0
    for gap in (1000.0, *gaps):
        now += gap
        clock.heard(now)
    limit = max(LEAST, SEVERAL * gaps.max())
    assert clock.lost(now + 0.999 * limit) is None
    ended = clock.lost(now + 1.001 * limit)
    assert ended is not None
    assert ended.end is End.HUNG
    assert ended.numbers == pytest.approx({"silence": 1.001 * limit, "longest_before": gaps.max()})
    clock.heard(now + 1.001 * limit)
    assert clock.lost(now + 1.002 * limit) is None, "it has spoken again"


def test_of_a_chatty_trial_a_short_silence_is_no_hang() -> None:
    clock = patience()
    for i in range(100):
        clock.heard(i / 100)
    assert clock.lost(1 + LEAST - 0.02) is None
    ended = clock.lost(1 + LEAST + 0.02)
    assert ended is not None
    assert ended.cause == "it said nothing for 60 seconds, and before never for longer than 0.01 seconds"


@pytest.mark.parametrize(
    ("timeout", "span"), [(90.0, "90 seconds"), (600.0, "10 minutes"), (10800.0, "3 hours")]
)
def test_a_timeout_bounds_the_attempt_however_much_it_says(timeout: float, span: str) -> None:
    clock = patience(5.0, timeout)
    for i in range(int(timeout)):
        clock.heard(5.0 + i)
        assert clock.lost(5.0 + i) is None
    ended = clock.lost(5.0 + timeout + 1)
    assert ended is not None
    assert ended.end is End.TIMEOUT
    assert ended.cause == f"it took longer than the {span} a trial may take"
    assert ended.numbers == {"seconds": timeout + 1, "limit": timeout}


class Clock:
    """Time that only passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(searcher.patience, "time", one)
    return one


def away_for(failures: int, *, passing: bool = True) -> Callable[[], str]:
    left = [failures]

    def call() -> str:
        if left[0]:
            left[0] -= 1
            raise StorageError("the store is away", passing=passing)
        return "here"

    return call


def test_a_store_that_is_there_is_not_spoken_of(clock: Clock) -> None:
    told: list[str] = []
    assert patiently(away_for(0), told.append, lambda: False) == "here"
    assert (told, clock.now) == ([], 0.0)


def test_a_store_that_comes_back_is_waited_for_and_told_of_twice(
    clock: Clock, rng: np.random.Generator
) -> None:
    failures, told = int(rng.integers(1, STORE_SECONDS // PAUSE_SECONDS)), list[str]()
    assert patiently(away_for(failures), told.append, lambda: False) == "here"
    assert told == ["the store is away; waiting for it", "the study store is back"]
    assert clock.now == failures * PAUSE_SECONDS


def test_a_store_that_stays_away_ends_the_wait(clock: Clock) -> None:
    with pytest.raises(StorageError, match="the store is away"):
        patiently(away_for(10**9), lambda text: None, lambda: False)
    assert STORE_SECONDS < clock.now <= STORE_SECONDS + PAUSE_SECONDS


def test_what_will_not_pass_and_a_person_who_stops_are_not_kept_waiting(clock: Clock) -> None:
    for call, gives_up in ((away_for(1, passing=False), False), (away_for(1), True)):
        with pytest.raises(StorageError):
            patiently(call, pytest.fail, lambda gives_up=gives_up: gives_up)
    assert clock.now == 0.0


@pytest.mark.parametrize("order", Order)
def test_an_order_is_read_as_it_was_written(order: Order) -> None:
    written: dict[str, Any] = json.loads(json.dumps({ORDER: order.value, ENDED: {"7": "Ada"}}))
    found = orders_of(written)
    assert found == Orders(order, {7: "Ada"})
    assert (found.who_ended(7), found.who_ended(8)) == ("Ada", "")
    assert order.stops == order.value.startswith("stop")
    assert order.at_once == order.value.endswith("now")


def test_without_an_order_a_study_goes_on() -> None:
    assert orders_of({}).order is Order.GO_ON
    assert orders_of({}).who_ended(0) == ""

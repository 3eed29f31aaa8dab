"""Hooks that never harm a training: they do not raise in it, nor go along when a model is copied or saved."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


class Guard:
    """Keeps accidents of the measuring away from the training; the first one is kept and warned of."""

    def __init__(self) -> None:
        self.error = ""

    @contextmanager
    def __call__(self, place: str) -> Iterator[None]:
        """Whatever goes wrong inside, which looks at `place`, is noted."""
        try:
            yield
        except Exception as error:  # a tensor of a kind nobody thought of must not end somebody's training
            self.note(place, error)

    def note(self, place: str, error: Exception) -> None:
        """Something went wrong."""
        if not self.error:
            self.error = f"{place}: {type(error).__name__}: {error}"
            warnings.warn(f"a figure is missing, the training goes on: {self.error}", stacklevel=2)


class Staying:
    """What stays with its model: a copy of it, and what is read back from a file, does nothing."""

    __torch_unserializable__ = True  # torch need not warn that a saved tensor leaves it behind

    def __deepcopy__(self, memo: dict[int, Any]) -> Hook:
        return Hook(nothing, Guard(), "")

    def __reduce__(self) -> tuple[Any, ...]:
        # takes anything and gives None, and can be read back where this package is not installed
        return getattr, (nullcontext(), "__exit__")


class Hook(Staying):
    """Calls a function under a guard."""

    def __init__(self, call: Callable[..., None], guard: Guard, place: str) -> None:
        self._call = call
        self._guard = guard
        self._place = place

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:  # written out: a context would cost as much as all the rest of a step without a row
            self._call(*args, **kwargs)
        except Exception as error:
            self._guard.note(self._place, error)


def nothing(*_: Any, **__: Any) -> None:
    """What a copied hook does."""

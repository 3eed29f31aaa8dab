"""Mistakes of the person who wrote a study, said in three parts: what, what arrived, what to choose.

TrainerError
|- SettingError    a setting that cannot be used
|- DataError       a data set that is missing, broken or does not fit
'- OwnCodeError    own code that cannot be imported or gives the wrong thing
"""

from __future__ import annotations


class TrainerError(Exception):
    """A training that cannot start; the message is meant for the person, without a traceback."""


class SettingError(TrainerError):
    """A setting that cannot be used. `mistakes` maps each setting to what is wrong with it."""

    def __init__(self, mistakes: dict[str, str]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"{name}: {text}" for name, text in mistakes.items()))

    def __reduce__(self) -> tuple[type[SettingError], tuple[dict[str, str]]]:
        return (SettingError, (self.mistakes,))


class DataError(TrainerError):
    """A data set that is missing, broken or does not fit the settings."""


class OwnCodeError(TrainerError):
    """Own code that cannot be imported, or gives something else than what was agreed."""

"""Which trainings make up the check: every fault and every oddity in some programs, under every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from planted.data import is_here
from planted.faults import FAULTS, Fault
from planted.oddities import ODDITIES, Oddity
from planted.programs import PROGRAMS, Program, Recipe

SEEDS = (0, 1, 2, 3, 4)
HELD_OUT_SEEDS = (3, 4)
"""Seeds that are kept for the last check, as the programs marked `held_out` are."""

PER_FAULT, PER_ODDITY = 2, 2
"""Programs in which a fault or an oddity is tried under each seed; they change from seed to seed."""


@dataclass(frozen=True)
class Case:
    """One training. `variant` is the fault's name, or `healthy-` and the oddity's."""

    variant: str
    program: str
    seed: int

    @property
    def is_faulty(self) -> bool:
        """Whether a fault was planted."""
        return self.variant in FAULTS

    @property
    def held_out(self) -> bool:
        """Whether it is kept for the last check."""
        return self.seed in HELD_OUT_SEEDS or PROGRAMS[self.program].held_out

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        base = PROGRAMS[self.program].recipe
        return FAULTS[self.variant].spoil(base) if self.is_faulty else self.oddity.change(base)

    @property
    def oddity(self) -> Oddity:
        """The oddity of a healthy case."""
        return ODDITIES[self.variant.removeprefix(HEALTHY)]

    @property
    def twin(self) -> Case:
        """The same program and seed as it should be."""
        return Case(PLAIN, self.program, self.seed)

    def __str__(self) -> str:
        return f"{self.variant}/{self.program}-{self.seed}"


HEALTHY = "healthy-"
PLAIN = f"{HEALTHY}plain"


def choose(seeds: Sequence[int] = SEEDS, only: str = "") -> list[Case]:
    """The cases of these seeds; `only` keeps the variants whose name begins with it."""
    variants: list[tuple[str, Fault | Oddity, int]] = [(n, f, PER_FAULT) for n, f in FAULTS.items()]
    variants += [(HEALTHY + n, o, PER_ODDITY) for n, o in ODDITIES.items() if HEALTHY + n != PLAIN]
    cases = [
        Case(PLAIN, name, seed) for seed in seeds for name, p in PROGRAMS.items() if is_here(p.recipe.data)
    ]
    for i, (name, variant, count) in enumerate(variants):
        programs = list(_fitting(variant))
        for seed in seeds:
            first = 5 * i + count * seed
            chosen = {programs[(first + j) % len(programs)] for j in range(count)}
            cases += [Case(name, program, seed) for program in sorted(chosen)]
    return [case for case in cases if case.variant.startswith(only)]


def _fitting(variant: Fault | Oddity) -> Iterator[str]:
    for program in PROGRAMS.values():
        if is_here(program.recipe.data) and _fits(program, variant):
            yield program.name


def _fits(program: Program, variant: Fault | Oddity) -> bool:
    return program.traits.issuperset(variant.needs) and program.traits.isdisjoint(variant.not_for)

"""Units that never fire: nothing they compute reaches the loss, and no gradient reaches their weights.

Notation
    z       share of zeros a site puts out, per due row            [n, sites]
    d       share of its units that fired for no sample of a window [windows, sites]
    units   units of a site                                        [sites]
    live    units (1 - d)
    C       outputs of the model
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import begin_of_last_run, recent
from diagnostics.evidence.suffering import done, fails, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.words import layer_words, listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

WHOLE = 0.999
"""Share of dead units from which a layer is dead as a whole (all of them, but for rounding)."""

MANY = 0.75
"""Share of dead units of a layer that is worth a warning in a training that learns nothing (house rule:
sparse layers are healthy, but a unit that never fires is no use; Lu et al. (2019), Dying ReLU and
initialization)."""

MOST = 0.9
"""Share from which it is worth one in a training that is hampered."""

NOTABLE = 0.25
"""Share of dead units that is worth a word at all where nothing is learnt."""

HALF = 0.5
"""The same where the training learns (house rule: a layer of relu begins with a quarter of its units dead for
all of few samples, and copes)."""

NEAR = 0.05
"""What the share of zeros of a batch may be below that of dead units of a window."""

PASSES = 0.01
"""Share of its largest slope from which a saturating activation is not dead."""

ROWS = 3
"""Due rows without any output that show a layer to be dead before a window of samples is full."""

REMEDY_AT_START = (
    "start with biases of 0 and init = kaiming_normal (these units were dead from the start), or take an "
    "activation that passes negative values, such as leaky_relu or gelu"
)


@dataclass(frozen=True)
class _Site:
    name: str
    share: float
    live: float
    step: int
    counted: bool

    @property
    def whole(self) -> bool:
        """Whether no unit is left."""
        return self.share >= WHOLE


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding for all layers with many dead units."""
    found = _sites(signals, facts)
    place = standing(signals, facts)
    if not found or (place.known and not math.isfinite(place.now)):
        return  # weights that are not finite put out no zeros of this kind
    whole = [site for site in found if site.whole]
    narrow = [site for site in found if site.live < _classes(facts)]
    worst = max(site.share for site in found)
    first = min(whole or found, key=lambda site: site.step)
    cut_off = any(site.counted for site in whole) and not place.known and _no_gradient(signals)
    harm = fails(place) and worst >= MANY
    harm = harm or (
        bool(whole or narrow or worst >= MOST)
        and hampered(place, sibling_loss(facts), done=done(signals, facts))
    )
    if not (harm or cut_off or fails(place)) and worst < HALF:
        return
    named = sorted(whole or narrow or found, key=lambda site: -site.share)
    evidence = {"dead_share": worst, "layers": float(len(found)), "live_units": min(s.live for s in found)}
    yield Finding(
        "dead-units",
        warn_if(harm or cut_off),
        first.step,
        numbers_of(evidence),
        _cause(named, facts, bool(whole), place),
        _remedy(signals, first),
        tuple(site.name for site in named),
    )


def _sites(signals: Signals, facts: Facts) -> list[_Site]:
    """The sites with a notable share of dead units: those of the last window, or dead from the start."""
    steep = _steep(signals)
    found = [site for site in {**_silent(signals), **_counted(signals)}.values() if site.share >= NOTABLE]
    found = [site for site in found if site.name not in steep]
    if _begins_with_zeros(signals, facts):  # units then give 0 without being dead
        found = [site for site in found if not (site.whole and site.step == 0)]
    return found


def _begins_with_zeros(signals: Signals, facts: Facts) -> bool:
    """Whether a hidden matrix was zero at the start."""
    if "weight_norm" not in signals:
        return False
    norms = signals["weight_norm"]
    head = str(facts.get("head_layer", "")) + "."
    return any(
        size == 0.0 and not name.startswith(head)
        for name, size in zip(norms.layers, norms.values[0], strict=True)
    )


def _steep(signals: Signals) -> set[str]:
    """Sites of saturating activations that pass gradients: an answer of 0 is the middle of a tanh."""
    if "slope_share" not in signals:
        return set()
    s = signals["slope_share"]
    return {name for name, slope in zip(s.layers, recent(s, ROWS), strict=True) if slope > PASSES}


def _counted(signals: Signals) -> dict[str, _Site]:
    """Every site with the share of its units that fired for no sample of the last window."""
    if "dead_share" not in signals or not len(signals["dead_share"]):
        return {}
    d, units = signals["dead_share"], signals.get("site_units")
    sizes = dict(zip(units.layers, units.values[-1], strict=True)) if units is not None and len(units) else {}
    return {
        name: _Site(
            name, share, float(sizes.get(name, math.nan)) * (1 - share), _onset(signals, name, share), True
        )
        for name, share in zip(d.layers, map(float, d.values[-1]), strict=True)
    }


def _onset(signals: Signals, name: str, share: float) -> int:
    """The due row since which the site has put out as many zeros as its dead units alone make."""
    z = signals["zero_share"]
    if name not in z.layers:
        return int(signals["dead_share"].steps[-1])
    begin = begin_of_last_run(z.values[:, z.layers.index(name)] >= share - NEAR)
    return int(z.steps[min(begin, len(z) - 1)])


def _silent(signals: Signals) -> dict[str, _Site]:
    """Sites that put out nothing but zeros in each of the last due rows."""
    z = signals["zero_share"]
    found = {}
    for column, name in enumerate(z.layers):
        begin = begin_of_last_run(z.values[:, column] >= 1.0)
        if len(z) - begin >= ROWS:
            found[name] = _Site(name, 1.0, 0.0, int(z.steps[begin]), False)
    return found


def _no_gradient(signals: Signals) -> bool:
    """Whether some matrix got no gradient at all in the last due rows: nothing goes round the dead layer."""
    if "grad_norm" not in signals or len(signals["grad_norm"]) < ROWS:
        return False
    return bool(np.any(np.all(signals["grad_norm"].values[-ROWS:] == 0.0, axis=0)))


def _classes(facts: Facts) -> float:
    return float(facts.get("outputs", 0)) if facts.get("task") == "classification" else 1.0


def _cause(named: list[_Site], facts: Facts, whole: bool, place: Standing) -> str:
    worst = named[0]
    if whole:
        what = f"no unit of {listed([site.name for site in named], facts)} has fired since step {worst.step}"
    else:
        where = layer_words(worst.name, facts)
        what = f"{100 * worst.share:.0f} % of the units of {where} never fire (since step {worst.step}"
        what += f", {worst.live:.0f} are left)" if math.isfinite(worst.live) else ")"
        if len(named) > 1:
            what += f", and many of {listed([site.name for site in named[1:]], facts)}"
    return f"{what}; {outcome(place)}"


def _remedy(signals: Signals, first: _Site) -> str:
    if first.step == 0:
        return REMEDY_AT_START
    rate = signals["learning_rate"].values if "learning_rate" in signals else np.array([])
    lower = (
        f" from {np.max(rate):.2g} to about {np.max(rate) / 10:.1g}" if len(rate) and np.max(rate) > 0 else ""
    )
    return (
        f"lower learning_rate{lower}: large steps pushed the biases down until nothing fires; or take "
        "activation = leaky_relu or gelu, or norm = batch"
    )


RULE = Rule(
    name="dead-units",
    needs={"zero_share": ROWS},
    check=check,
    source="Lu et al. (2019), Dying ReLU and initialization; the shares are house rules",
)

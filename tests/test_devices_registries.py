"""Lists that mean one thing: a new shape, fault, effect or preset is one entry and works."""

from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from xbar.devices import (
    EFFECTS,
    FAULTS,
    PLACEMENTS,
    PRESETS,
    SHAPES,
    AbstractEffect,
    AbstractFault,
    AbstractMask,
    AbstractReading,
    Device,
    FaultKind,
    Placement,
    StuckPair,
    inject,
    placed_mask,
    preset,
    random_mask,
)
from xbar.devices.mapping import Pairs, Window
from xbar.devices.placements import inside
from xbar.run.settings.faults import make_fault

KEY = jax.random.key(1)
WINDOW = Window(1e-6, 1e-4)


@final
class Diamond(AbstractMask):
    """All pairs within a distance by rows and columns."""

    centre: Any
    reach: Any

    def level(self, y, x):
        return self.reach - jnp.abs(y - self.centre[0]) - jnp.abs(x - self.centre[1])


def diamond(position, coverage):
    reach = jnp.sqrt(coverage / 2)
    return Diamond(inside(position, reach), reach)


@final
class StuckHalf(AbstractFault):
    """The plus cell stuck at a share of g_max."""

    share: Any

    def stuck(self, shape, dtype, window, key):
        return jnp.array([True, False])[:, None, None], self.share * window.g_max

    def describe(self):
        return "plus cell stuck"


@final
class Offset(AbstractReading):
    """Every read sees a little more."""

    g_offset: Any

    def read(self, g, key, seconds=1.0, read=0, target=None):
        return g + self.g_offset

    def describe(self):
        return "an offset"


def test_a_shape_is_one_entry(monkeypatch):
    monkeypatch.setitem(PLACEMENTS, "diamond", Placement(diamond, (False, False), 0.1, 0.0, 0.5))
    mask = random_mask("diamond", KEY, 0.2).mask((60, 60))
    assert abs(float(mask.mean()) - 0.2) < 0.01
    assert placed_mask("diamond", jnp.array([0.0, 1.0])).mask((60, 60)).any()


def test_a_fault_is_one_entry(monkeypatch):
    monkeypatch.setitem(FAULTS, "half", FaultKind(StuckHalf, "the plus cell"))
    assert isinstance(make_fault("half", 0.5), StuckHalf)  # as studies make it
    pairs = Pairs(*np.full((2, 4, 3), 1e-5))
    hit = np.zeros((4, 3), bool)
    hit[1] = True
    found = inject(pairs, hit, FAULTS["half"].make(0.5), WINDOW)
    assert np.asarray(found.g_plus)[1].tolist() == [5e-5] * 3
    assert np.asarray(found.g_minus)[1].tolist() == [1e-5] * 3
    device = Device([FAULTS["half"].make(0.5)], WINDOW)
    assert (np.asarray(device.program(pairs, KEY).g_plus) == 5e-5).all()


def test_an_effect_is_one_entry(monkeypatch):
    monkeypatch.setitem(EFFECTS, "offset", Offset)
    device = Device([EFFECTS["offset"](1e-6)])
    np.testing.assert_allclose(device.read(np.array([1e-5]), KEY), [1.1e-5])
    assert "Offset: an offset" in str(device)


def test_a_preset_is_one_entry(monkeypatch):
    monkeypatch.setitem(PRESETS, "perfect", Device)
    assert preset("perfect").program(np.array([1e-5]), KEY)[0] == 1e-5


def test_the_lists_hold_what_there_is():
    assert [name for name in PLACEMENTS if name not in SHAPES] == ["scratch"]
    assert all(SHAPES[name] is PLACEMENTS[name] for name in SHAPES)
    concrete = {sub for abstract in AbstractEffect.__subclasses__() for sub in subclasses(abstract)}
    named = set(EFFECTS.values())
    own = {c for c in concrete if c.__module__.startswith("xbar.devices.effects")}
    assert own == named
    for kind in FAULTS.values():
        fault = kind.make(kind.default)
        assert isinstance(fault, AbstractFault)
        assert fault.describe()
    assert isinstance(FAULTS["pair"].make(1e-5), StuckPair)


def subclasses(cls):
    below = cls.__subclasses__()
    return {c for c in below if not c.__name__.startswith("Abstract")}.union(
        *(subclasses(c) for c in below)
    )

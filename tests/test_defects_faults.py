"""Faults: what each does to the cells that a mask hits, and nothing to the others."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.devices import (
    PUBLISHED_RATES,
    Circle,
    ColumnLines,
    Everywhere,
    StuckCells,
    StuckMinus,
    StuckPair,
    StuckPlus,
    StuckUnequal,
    inject,
)
from xbar.devices.mapping import Pairs, Window

KEY = jax.random.key(7)
WINDOW = Window(1e-6, 1e-4)
MASK = Circle((0.5, 0.5), 0.3)
SIZE = (40, 30)
HIT = MASK.mask(SIZE)


def healthy(dtype=np.float64, size=SIZE):
    g = np.random.default_rng(0).uniform(2e-6, 9e-5, (2, *size)).astype(dtype)
    return Pairs(*g)


FAULTS = {
    "pair-on": StuckPair("on"),
    "pair-off": StuckPair("off"),
    "pair-value": StuckPair(5e-4),
    "pair-random": StuckPair("random"),
    "pair-uniform": StuckPair("uniform"),
    "unequal-cells": StuckUnequal(),
    "unequal-cells-uniform": StuckUnequal("uniform"),
    "unequal-columns": StuckUnequal("random", "column"),
    "unequal-columns-uniform": StuckUnequal("uniform", "column"),
    "plus-on": StuckPlus("on"),
    "minus-off": StuckMinus("off"),
    "plus-uniform": StuckPlus("uniform"),
    "cells": StuckCells(0.3, 0.4),
}
faults = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@faults
def test_pairs_outside_the_mask_and_the_dtype_are_kept(fault, dtype):
    before = healthy(dtype)
    after = inject(before, MASK, fault, WINDOW, KEY)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert new.dtype == dtype
        assert (new[~HIT] == old[~HIT]).all()
    assert not eqx.tree_equal(before, after)


@faults
def test_booleans_and_masks_are_the_same(fault):
    given_mask = inject(healthy(), MASK, fault, WINDOW, KEY)
    assert eqx.tree_equal(given_mask, inject(healthy(), HIT, fault, WINDOW, KEY))
    assert eqx.tree_equal(given_mask, inject(healthy(), np.asarray(HIT), fault, WINDOW, KEY))
    without = inject(healthy(), ~MASK, fault, WINDOW, KEY, include_bias_row=False)
    assert (without.g_plus[-1] == healthy().g_plus[-1]).all()
    assert (without.g_minus[-1] == healthy().g_minus[-1]).all()


@pytest.mark.parametrize(
    ("value", "g"), [("on", 1e-4), ("off", 1e-6), (5e-4, 5e-4), (0.0, 0.0), (0, 0.0)]
)
@pytest.mark.parametrize("fault", [StuckPair, StuckPlus, StuckMinus])
def test_a_stuck_value_is_the_value_in_the_cells_that_stick(fault, value, g):
    before = healthy()
    after = inject(before, MASK, fault(value), WINDOW)
    plus = g if fault in (StuckPair, StuckPlus) else before.g_plus[HIT]
    minus = g if fault in (StuckPair, StuckMinus) else before.g_minus[HIT]
    assert (after.g_plus[HIT] == plus).all()
    assert (after.g_minus[HIT] == minus).all()


@pytest.mark.parametrize("drawn", ["random", "uniform"])
def test_a_drawn_pair_is_equal_and_drawn_unequal_pairs_are_not(drawn):
    equal = inject(healthy(), MASK, StuckPair(drawn), WINDOW, KEY)
    assert (equal.g_plus[HIT] == equal.g_minus[HIT]).all()
    assert len(np.unique(equal.g_plus[HIT])) >= 2
    unequal = inject(healthy(), MASK, StuckUnequal(drawn), WINDOW, KEY)
    share = (unequal.g_plus[HIT] != unequal.g_minus[HIT]).mean()
    assert share == 1 if drawn == "uniform" else abs(share - 0.5) < 0.15
    for g in (equal.g_plus, unequal.g_plus, unequal.g_minus):
        values = np.asarray(g[HIT])
        if drawn == "random":
            assert set(values) == {float(WINDOW.g_min), float(WINDOW.g_max)}
            assert abs((values == values.max()).mean() - 0.5) < 0.15
        else:
            assert values.min() >= WINDOW.g_min
            assert values.max() <= WINDOW.g_max
            assert abs(values.mean() - 50.5e-6) < 6e-6


@pytest.mark.parametrize("drawn", ["random", "uniform"])
def test_stuck_values_per_column_vary_across_physical_columns_only(drawn):
    stuck = inject(healthy(), Everywhere(), StuckUnequal(drawn, "column"), WINDOW, KEY).interleave()
    assert (stuck == stuck[0]).all()
    assert len(np.unique(stuck[0])) == (2 if drawn == "random" else 60)
    assert (stuck[0, 0::2] != stuck[0, 1::2]).any()


def test_one_physical_bit_line_is_a_column_with_one_side_stuck():
    before = healthy().interleave()
    after = inject(healthy(), ColumnLines(3), StuckMinus("on"), WINDOW).interleave()
    assert np.flatnonzero((before != after).any(0)).tolist() == [7]
    assert (after[:, 7] == WINDOW.g_max).all()


def test_stuck_states_outside_the_window_come_from_another_window():
    chip, stuck = Window.preset("chip"), Window.preset("chip-stuck")
    pairs = inject(healthy(), Everywhere(), StuckUnequal(), stuck, KEY)
    np.testing.assert_allclose(np.unique(pairs.g_plus), [10e-6, 500e-6], rtol=1e-12)
    assert stuck.g_min < chip.g_min < chip.g_max < stuck.g_max


@pytest.mark.parametrize("polarity", PUBLISHED_RATES)
def test_published_rates_are_met_cell_by_cell(polarity):
    fault = StuckCells.published(polarity)
    rates = PUBLISHED_RATES[polarity]
    size = (300, 300)
    pairs = inject(healthy(size=size), Everywhere(), fault, WINDOW, KEY)
    for g in (pairs.g_plus, pairs.g_minus):
        for rate, value in ((rates["rate_on"], 1e-4), (rates["rate_off"], 1e-6)):
            share = float((g == value).mean())
            assert abs(share - rate) < 5 * np.sqrt(rate / g.size)
    both = (pairs.g_plus == 1e-4) & (pairs.g_minus == 1e-4)
    assert both.mean() < 3 * rates["rate_on"] ** 2 + 1e-4  # cells of a pair are independent
    assert {r for rate in PUBLISHED_RATES.values() for r in rate.values()} == {0.0175, 0.0904}


def test_cells_with_certain_rates():
    assert (inject(healthy(), MASK, StuckCells(1, 0), WINDOW, KEY).g_plus[HIT] == 1e-4).all()
    assert (inject(healthy(), MASK, StuckCells(0, 1), WINDOW, KEY).g_minus[HIT] == 1e-6).all()
    assert eqx.tree_equal(inject(healthy(), MASK, StuckCells(0, 0), WINDOW, KEY), healthy())


@faults
def test_the_same_key_draws_the_same_value_for_a_cell_whatever_the_mask(fault):
    part = inject(healthy(), MASK, fault, WINDOW, KEY)
    whole = inject(healthy(), Everywhere(), fault, WINDOW, KEY)
    assert (part.g_plus[HIT] == whole.g_plus[HIT]).all()
    assert (part.g_minus[HIT] == whole.g_minus[HIT]).all()


@pytest.mark.parametrize("fault", [StuckPair, StuckPlus, StuckMinus])
def test_values_can_be_traced_and_batched(fault):
    values = jnp.array([0.0, 1e-5, 7e-4])
    run = jax.jit(jax.vmap(lambda g: inject(healthy(), MASK, fault(g), WINDOW)))
    batch = run(values)
    objects = eqx.filter_vmap(fault)(values)
    again = eqx.filter_vmap(lambda f: inject(healthy(), MASK, f, WINDOW))(objects)
    for i, value in enumerate(values):
        one = inject(healthy(), MASK, fault(value), WINDOW)
        for stacked in (batch, again):
            assert (stacked.g_plus[i] == one.g_plus).all()
            assert (stacked.g_minus[i] == one.g_minus).all()


@faults
def test_masks_windows_and_keys_can_be_batched(fault):
    keys = jax.random.split(KEY, 4)
    radii = jnp.array([0.1, 0.2, 0.3, 0.4])
    tops = jnp.array([1e-4, 2e-4, 3e-4, 4e-4])

    def run(radius, top, key):
        return inject(healthy(), Circle((0.5, 0.5), radius), fault, Window(1e-6, top), key)

    batch = jax.jit(jax.vmap(run))(radii, tops, keys)
    for i in range(4):
        one = run(radii[i], tops[i], keys[i])
        np.testing.assert_allclose(batch.g_plus[i], one.g_plus, rtol=1e-15)
        np.testing.assert_allclose(batch.g_minus[i], one.g_minus, rtol=1e-15)


def test_values_may_differ_from_cell_to_cell_and_have_derivatives():
    by_column = np.linspace(1e-6, 1e-4, SIZE[1])
    pairs = inject(healthy(), Everywhere(), StuckPair(by_column), WINDOW)
    assert (pairs.g_plus == by_column).all()
    slope = jax.grad(lambda g: inject(healthy(), MASK, StuckPair(g), WINDOW).g_plus.sum())(1e-5)
    assert slope == HIT.sum()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: StuckPair("SA0"), 'StuckPair.value: got \'SA0\', needs "on", "off"'),
        (lambda: StuckPlus(-1e-6), "StuckPlus.value: got -1e-06, needs a finite conductance"),
        (lambda: StuckMinus(np.inf), "StuckMinus.value: got inf"),
        (lambda: StuckUnequal("on"), "StuckUnequal.drawn: got 'on', needs one of"),
        (lambda: StuckUnequal("random", "row"), "StuckUnequal.per: got 'row', needs one of"),
        (lambda: StuckCells(1.2, 0.0), "StuckCells.rate_on: got 1.2, needs a value in 0..1"),
        (lambda: StuckCells(0.6, 0.6), "StuckCells.rate_off: got 0.6, needs at most 1"),
        (lambda: StuckCells.published("SA1"), "polarity: got 'SA1', needs one of"),
        (lambda: inject(healthy(), MASK, StuckPair("random"), WINDOW), "key: got None, needs"),
        (lambda: inject(healthy(), MASK, StuckUnequal(), WINDOW), "key: got None, needs"),
        (lambda: inject(healthy(), MASK, StuckCells(0.1, 0.1), WINDOW), "key: got None, needs"),
        (lambda: inject(healthy(), HIT[1:], StuckPair(), WINDOW), "mask: got bool .*, needs"),
        (lambda: inject(healthy(), HIT * 1.0, StuckPair(), WINDOW), "mask: got float"),
        (
            lambda: inject(healthy(), MASK, StuckPair(np.ones(7)), WINDOW),
            r"stuck value: got shape \(7,\), needs one that fits \(40, 30\)",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)

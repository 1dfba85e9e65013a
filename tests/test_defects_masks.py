"""Masks: counts, set laws, edges, the bias row, batches, and the random placements of the study."""

import operator
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.devices import (
    SHAPES,
    Checkerboard,
    Circle,
    ColumnLines,
    Columns,
    Everywhere,
    Ring,
    RowLines,
    Rows,
    Scattered,
    random_mask,
)
from xbar.devices.masks import cell_centres
from xbar.devices.shapes import EDGE

KEY = jax.random.key(3)
SIZES = [(1, 1), (9, 10), (65, 50), (7, 1)]
# Among them masks with edges on cell centres of the sizes above.
MASKS = {
    "circle": Circle((0.5, 0.5), 0.2),
    "circle-off-centre": Circle((0.05, 0.95), 0.31),
    "circle-of-nothing": Circle((0.5, 0.5), 0.0),
    "circle-on-centres": Circle((0.5, 0.5), 4 / 9),
    "ring": Ring((0.4, 0.6), 0.15, 0.25),
    "rows": Rows(0.5, 3 / 9),
    "columns": Columns(0.5, 0.1),
    "row-lines": RowLines([0, -1]),
    "column-lines": ColumnLines(0),
    "board": Checkerboard(0.25, (0.1, 0.3)),
    "board-on-centres": Checkerboard(0.1),
    "board-of-cells": Checkerboard(2, cells=True),
    "scattered": Scattered(0.3, KEY),
    "everywhere": Everywhere(),
}
masks = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
sizes = pytest.mark.parametrize("size", SIZES)


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize(("size", "hit"), [((64, 50), 404), ((8, 10), 12)])
def test_study_circle_hits_the_pairs_counted_in_the_study(size, hit, x64):
    with jax.enable_x64(x64):
        assert Circle((0.5, 0.5), 0.2).mask(size).sum() == hit


@sizes
@masks
def test_complement_is_exact_and_its_own_inverse(mask, size):
    hit = mask.mask(size)
    assert hit.shape == size
    assert hit.dtype == bool
    assert ((~mask).mask(size) == ~hit).all()
    assert ((~~mask).mask(size) == hit).all()
    assert (mask.level(*cell_centres(*size)) != 0).all()


def test_a_level_that_would_be_0_is_decided_and_the_complement_follows():
    y, x = cell_centres(9, 10)
    draws = jax.random.uniform(KEY, (9, 10))
    band = Rows(y[3, 0] + EDGE, 0.0)  # both edges on row 3
    draw = Scattered(draws[2, 4], KEY)  # hit where the draw is below the rate: not this pair
    for mask, pair, inside in ((band, (3, 0), True), (draw, (2, 4), False)):
        level = mask.level(y, x)[pair]
        assert abs(level) < 1e-300
        assert mask.mask((9, 10))[pair] == inside
        assert (~mask).mask((9, 10))[pair] != inside


@pytest.mark.parametrize("law", [operator.or_, operator.and_], ids=["union", "intersection"])
@masks
def test_union_and_intersection_are_those_of_the_booleans(mask, law):
    for other in (Circle((0.5, 0.5), 0.2), Rows(0.5, 3 / 9), Checkerboard(0.1)):
        both = law(mask, other).mask((9, 10))
        assert (both == law(mask.mask((9, 10)), other.mask((9, 10)))).all()
        inverse = operator.and_ if law is operator.or_ else operator.or_
        assert (inverse(~mask, ~other).mask((9, 10)) == ~both).all()  # De Morgan


@masks
def test_without_the_bias_row_the_geometry_is_that_of_the_weights(mask):
    whole, weights = mask.mask((9, 10)), mask.mask((8, 10))
    for m, hit in ((mask, weights), (~mask, ~weights)):
        left_out = m.mask((9, 10), include_bias_row=False)
        assert (left_out[:-1] == hit).all()
        assert not left_out[-1].any()
    assert whole.shape == (9, 10)


def test_the_bias_row_is_hit_like_any_other_when_included():
    assert RowLines(-1).mask((9, 10))[-1].all()
    assert Rows(17 / 18, 1 / 9).mask((9, 10)).tolist() == RowLines(8).mask((9, 10)).tolist()
    assert RowLines(-1).mask((9, 10), include_bias_row=False)[-2].all()


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize("kind", [Rows, Columns])
@pytest.mark.parametrize("lines", [10, 65])
def test_a_band_of_n_lines_width_hits_n_lines_wherever_it_lies(kind, lines, x64):
    # Every n at every half line: also with both edges on cell centres, where rounding could decide.
    places = [(s / 2, n) for n in range(lines + 1) for s in range(2 * (lines - n) + 1)]
    start, n = np.array(places).T
    size = (lines, 3) if kind is Rows else (3, lines)
    with jax.enable_x64(x64):
        run = jax.jit(jax.vmap(lambda centre, width: kind(centre, width).mask(size)))
        hit = run((start + n / 2) / lines, n / lines)
    per_line = np.asarray(hit.all(axis=2 if kind is Rows else 1))
    assert (per_line.sum(1) == n).all()
    assert (np.asarray(hit).sum((1, 2)) == 3 * n).all()
    # The lower edge is in and the upper out, so a band that starts on a centre hits that line.
    assert (per_line.argmax(1) == np.floor(start))[n > 0].all()


@pytest.mark.parametrize("radius", [0.1, 0.25, 0.7])
def test_a_ring_is_a_circle_without_a_circle(radius):
    inner = radius * 0.55
    ring = Ring((0.5, 0.45), inner, radius).mask((65, 50))
    whole = Circle((0.5, 0.45), radius) & ~Circle((0.5, 0.45), inner)
    assert (ring == whole.mask((65, 50))).all()
    assert ring.any()


def test_edges_of_circles_and_rings_are_inside():
    # On 5x5, centres lie at 0.1, 0.3, 0.5, 0.7, 0.9: four of them 0.2 from the middle.
    for x64 in (True, False):
        with jax.enable_x64(x64):
            cross = Circle((0.5, 0.5), 0.2).mask((5, 5))
            assert cross.sum() == 5
            assert Ring((0.5, 0.5), 0.2, 0.2).mask((5, 5)).sum() == 4
            assert (~Circle((0.5, 0.5), 0.2)).mask((5, 5)).sum() == 20


def test_the_finest_board_alternates_cell_by_cell():
    i, j = np.indices((9, 10))
    board = Checkerboard(2, cells=True).mask((9, 10))
    assert (board == ((i + j) % 2 == 0)).all()
    assert (Checkerboard(2, (0.5, 0.0), cells=True).mask((9, 10)) == ~board).all()
    coarse = Checkerboard((6, 4), cells=True).mask((9, 10))
    assert (coarse == ((i // 3 + j // 2) % 2 == 0)).all()
    unit = Checkerboard(0.5).mask((8, 8))
    assert (unit == Checkerboard(4, cells=True).mask((8, 8))).all()


def test_lines_by_index():
    assert np.flatnonzero(RowLines([2, 0]).mask((5, 3)).all(1)).tolist() == [0, 2]
    assert np.flatnonzero(ColumnLines(-3).mask((5, 3)).all(0)).tolist() == [0]
    with pytest.raises(ValueError, match=r"RowLines.lines: got \[5\], needs indices within 5"):
        RowLines(5).mask((5, 3))


def test_scattered_pairs_follow_the_rate_and_are_nested():
    rates = [0.0, 0.01, 0.1, 0.5, 1.0]
    hits = [Scattered(rate, KEY).mask((200, 200)) for rate in rates]
    for rate, hit in zip(rates, hits, strict=True):
        assert abs(hit.mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / hit.size)
    for fewer, more in pairwise(hits):
        assert not (fewer & ~more).any()
    assert (Scattered(0.1, jax.random.key(4)).mask((200, 200)) != hits[2]).any()


def line_index(i):
    return (i * 9).astype(int)


BUILDERS = {
    "circle": lambda u: Circle(u[:2], u[2]),
    "ring": lambda u: Ring(u[:2], u[2] / 3, u[2]),
    "rows": lambda u: Rows(u[0], u[1]),
    "columns": lambda u: Columns(u[0], u[1]),
    "row-lines": lambda u: RowLines(line_index(u[0])),
    "column-lines": lambda u: ColumnLines(line_index(u)),
    "board": lambda u: Checkerboard(u[0] + 0.1, u[1:3]),
    "scattered": lambda u: Scattered(u[0], jax.random.key(0)),
    "nested": lambda u: (~Circle(u[:2], u[2]) | Rows(u[0], u[1])) & Columns(u[2], u[1]),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_batches_and_traced_numbers_hit_what_a_loop_hits(build):
    numbers = jax.random.uniform(KEY, (6, 3))
    loop = jnp.stack([build(u).mask((9, 10)) for u in numbers])
    batch = eqx.filter_vmap(build)(numbers)
    assert (eqx.filter_vmap(lambda m: m.mask((9, 10)))(batch) == loop).all()
    assert (jax.jit(jax.vmap(lambda u: build(u).mask((9, 10))))(numbers) == loop).all()
    assert loop.any()


@pytest.mark.parametrize("name", ["circle", "ring", "rows", "columns", "board", "scattered"])
def test_levels_have_finite_derivatives_and_grow_with_the_shape(name):
    y, x = cell_centres(9, 10)
    # 0.5 puts the circle's centre on a row of cell centres, where a distance has its kink.
    numbers = jnp.array([0.5, 0.55, 0.3])
    slope = jax.jacobian(lambda u: BUILDERS[name](u).level(y, x))(numbers)
    assert jnp.isfinite(slope).all()
    assert (slope != 0).any()


def test_the_level_of_a_circle_is_the_distance_to_its_edge():
    level = Circle((0.5, 0.5), 0.2).level(jnp.array([[0.5]]), jnp.array([[0.5, 0.6, 0.9]]))
    np.testing.assert_allclose(level, [[0.2, 0.1, -0.2]], atol=2e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_placements_cover_what_they_are_asked_to(name):
    keys = jax.random.split(KEY, 64)
    for asked in (None, 0.3):
        batch = eqx.filter_vmap(lambda key, c=asked: random_mask(name, key, c))(keys)
        hit = eqx.filter_vmap(lambda m: m.mask((64, 50)))(batch)
        covered = 0.5 if name == "checkerboard" else (asked or SHAPES[name].coverage)
        assert abs(hit.mean() - covered) < 0.01
        assert abs(hit.mean((1, 2)) - covered).max() < 0.03
        one = random_mask(name, keys[5], asked).mask((64, 50))
        assert (one == hit[5]).all()
        assert (hit[0] != hit[1:]).any()


@pytest.mark.parametrize("name", SHAPES)
def test_placements_take_traced_coverages(name):
    coverages = jnp.linspace(0.25, 0.45, 5)
    draw = jax.jit(jax.vmap(lambda c: random_mask(name, KEY, c).mask((64, 50))))
    hit = draw(coverages).mean((1, 2))
    np.testing.assert_allclose(hit, 0.5 if name == "checkerboard" else coverages, atol=0.02)
    too_much = jax.jit(lambda c: random_mask(name, KEY, c).mask((64, 50)).mean())(jnp.array(2.0))
    assert abs(too_much - min(SHAPES[name].most, 1.0)) < 0.02 or name == "checkerboard"


def test_placements_of_circles_are_whole():
    keys = jax.random.split(KEY, 100)
    circles = eqx.filter_vmap(lambda key: random_mask("circle", key, 0.3))(keys)
    radius = circles.radius[:, None]
    assert ((circles.centre >= radius) & (circles.centre <= 1 - radius)).all()
    np.testing.assert_allclose(jnp.pi * radius**2, 0.3, rtol=1e-6)


def test_study_circle_is_the_default_placement():
    np.testing.assert_allclose(random_mask("circle", KEY).radius, 0.2, rtol=1e-12)
    ring = random_mask("ring", KEY)
    np.testing.assert_allclose([ring.inner, ring.outer], [0.15, 0.25], rtol=1e-12)
    assert list(SHAPES) == ["circle", "ring", "row", "column", "checkerboard", "circle-complement"]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Circle(0.5, 0.2), r"Circle.centre: got shape \(\), needs one axis"),
        (lambda: Circle((0.5, 0.5, 0.5), 0.2), "Circle.centre: got shape .*, needs two numbers"),
        (lambda: Circle((0.5, np.nan), 0.2), "Circle.centre: got nan"),
        (lambda: Circle((0.5, 0.5), -0.2), "Circle.radius: got -0.2, needs a finite value >= 0"),
        (lambda: Ring((0.5, 0.5), 0.3, 0.2), "Ring.outer: got 0.2, needs at least inner, 0.3"),
        (lambda: Rows(np.inf, 0.1), "Rows.centre: got inf"),
        (lambda: Columns(0.5, -0.1), "Columns.width: got -0.1"),
        (lambda: RowLines(0.5), "RowLines.lines: got 0.5, needs one or more integer"),
        (lambda: ColumnLines([]), "ColumnLines.lines: got"),
        (lambda: ColumnLines([0, 10]).mask((9, 10)), "ColumnLines.lines: got .*needs indices"),
        (lambda: Checkerboard(0.0), "Checkerboard.period: got 0.0"),
        (lambda: Checkerboard((0.1, 0.2, 0.3)), "Checkerboard.period: got shape"),
        (lambda: Scattered(1.5, KEY), r"Scattered.rate: got 1.5, needs a value in 0..1"),
        (lambda: Everywhere().mask((0, 4)), "shape: got"),
        (lambda: Everywhere().mask((1, 4), include_bias_row=False), "shape: got"),
        (lambda: random_mask("blob", KEY), "shape: got 'blob', needs one of"),
        (lambda: random_mask("ring", KEY, 0.6), r"coverage: got 0.6, needs a value in 0..0.503"),
        (lambda: random_mask("circle-complement", KEY, 0.1), "coverage: got 0.1, needs"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)

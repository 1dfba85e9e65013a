"""Shapes at given places: whole inside the array, smooth in their position, nothing twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.devices import PLACEMENTS, Scratch, placed_mask, random_mask
from xbar.devices.masks import cell_centres

SIZE = (60, 60)


@pytest.mark.parametrize("name", [n for n in PLACEMENTS if n != "checkerboard"])
@pytest.mark.parametrize("corner", [0.0, 0.3, 1.0])
def test_a_shape_lies_whole_inside_wherever_it_is_placed(name, corner):
    shape = PLACEMENTS[name]
    mask = placed_mask(name, jnp.full(shape.dims, corner))
    covered = float(mask.mask(SIZE).mean())
    assert abs(covered - shape.coverage) < 0.01


@pytest.mark.parametrize("name", PLACEMENTS)
def test_a_coordinate_that_wraps_ends_where_it_starts_and_others_do_not(name):
    for number, wraps in enumerate(PLACEMENTS[name].wraps):
        ends = np.full((2, PLACEMENTS[name].dims), 0.3)
        ends[:, number] = 0, 1
        first, last = (placed_mask(name, jnp.asarray(e)).mask(SIZE) for e in ends)
        assert bool((first == last).all()) == wraps


@pytest.mark.parametrize("name", PLACEMENTS)
def test_random_places_are_placed_masks(name):
    key = jax.random.key(1)
    drawn = random_mask(name, key, None).mask(SIZE)
    at = jax.random.uniform(key, (PLACEMENTS[name].dims,))
    assert (drawn == placed_mask(name, at).mask(SIZE)).all()


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.5])
def test_a_scratch_is_the_rectangle_at_its_angle(angle):
    scratch = Scratch((0.45, 0.55), angle, 0.6, 0.1)
    y, x = (np.asarray(v) for v in cell_centres(*SIZE))
    right, down = x - 0.55 + 0 * y, y - 0.45 + 0 * x
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along, across = np.einsum("ij,jrc->irc", turn, np.stack([right, down]))
    expected = (np.abs(along) <= 0.3 + 1e-6) & (np.abs(across) <= 0.05 + 1e-6)
    np.testing.assert_array_equal(scratch.mask(SIZE), expected)
    assert abs(expected.mean() - 0.06) < 0.01


def test_a_turned_scratch_is_the_same_after_half_a_turn():
    one, other = (Scratch((0.4, 0.5), a, 0.7, 0.1).mask(SIZE) for a in (0.3, 0.3 + np.pi))
    assert (one == other).all()


@pytest.mark.parametrize("name", PLACEMENTS)
def test_levels_can_be_differentiated_by_the_position(name):
    y, x = cell_centres(9, 10)
    at = jnp.linspace(0.31, 0.67, PLACEMENTS[name].dims)
    slope = jax.jacobian(lambda p: placed_mask(name, p).level(y, x))(at)
    assert jnp.isfinite(slope).all()
    assert (jnp.abs(slope).max((0, 1)) > 0).all()
    step = 1e-7
    for number in range(len(at)):
        nudge = step * jnp.eye(len(at))[number]
        ends = [placed_mask(name, at + s * nudge).level(y, x) for s in (1, -1)]
        np.testing.assert_allclose(slope[..., number], (ends[0] - ends[1]) / (2 * step), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: placed_mask("blob", jnp.zeros(2)), "shape: got 'blob', needs one of"),
        (
            lambda: placed_mask("circle", jnp.zeros(3)),
            r"position: got shape \(3,\), needs \(2,\) for circle",
        ),
        (lambda: placed_mask("row", jnp.array([1.5])), "position: got 1.5, needs values in 0..1"),
        (lambda: placed_mask("scratch", jnp.zeros(3), 0.5), "coverage: got 0.5, needs"),
        (lambda: Scratch((0.5, 0.5), np.nan, 0.1, 0.1), "Scratch.angle: got nan"),
        (lambda: Scratch((0.5, 0.5), 0.0, -0.1, 0.1), "Scratch.length: got -0.1"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)

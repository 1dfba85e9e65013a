"""What is new is one file and one list entry: a solver, a law of cells, a kind of layer.

Shapes, faults, effects and presets: `test_devices_registries.py`; readout steps:
`test_readout_steps.py`; data sets: `test_datasets.py`.
"""

import os
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

import xbar as xb
from xbar import cells, nn
from xbar import sensitivity as sens
from xbar.cells import families
from xbar.nn.on_arrays import AbstractOnArrays, Chip, Fixed
from xbar.solvers.base import AbstractSolver, Answer, left_by, transfer_by_cells, within

KEY = jax.random.key(0)
WIRES = xb.Wires(30.0, 20.0, 5.0, 7.0)
RNG = np.random.default_rng(2)
WEIGHTS, BIASES = RNG.normal(size=(4, 3)), RNG.normal(size=3)
X = RNG.uniform(-1, 1, size=(5, 4))


class ByJacobian(AbstractSolver):
    """The matrix of the cell equation, from its linearity, and one dense solve."""

    def factor(self, problem: Any) -> Array:
        flat = problem.g.size
        zero, shape = jnp.zeros_like(problem.g)[None], problem.g.shape
        left = lambda u: problem.residual(zero, u.reshape(1, *shape)).ravel()  # noqa: E731
        return -jax.jacobian(left)(jnp.zeros(flat, problem.g.dtype))

    def cell_voltages(self, state: Array, problem: Any, e: Any) -> Answer:
        e = e + jnp.zeros((len(e), *problem.g.shape), e.dtype)
        u = jnp.linalg.solve(state, e.reshape(len(e), -1).T).T.reshape(e.shape)
        left = left_by(problem, e, u)
        ok = within(problem, e, u, left, 1e-10)
        return Answer(u, left.word, left.bit, ok, jnp.zeros(len(e), int))

    def transfer(self, problem: Any) -> Any:
        return transfer_by_cells(self, problem)


def test_a_solver_is_one_class():
    array = xb.Crossbar(RNG.uniform(1e-5, 1e-3, (4, 3)), WIRES)
    v = jnp.asarray(RNG.uniform(-1, 1, 4))
    own, known = xb.solve(array, v, ByJacobian()), xb.solve(array, v, xb.Dense())
    for part in ("i_out", "v_word", "v_bit"):
        np.testing.assert_allclose(getattr(own, part), getattr(known, part), rtol=1e-10)
    np.testing.assert_allclose(
        xb.transfer(array, ByJacobian()), xb.transfer(array, xb.Dense()), rtol=1e-10
    )


@pytest.mark.slow
def test_a_solver_of_ones_own_serves_networks_derivatives_and_cells_with_a_law():
    net = xb.Network.from_weights([WEIGHTS], [BIASES], wires=WIRES)
    np.testing.assert_allclose(net(X, solver=ByJacobian()), net(X), rtol=1e-9, atol=1e-12)
    labels = np.arange(5) % 3
    own, known = (sens.gradients(net, X, labels, solver=s) for s in (ByJacobian(), None))
    np.testing.assert_allclose(own.layers[0].g, known.layers[0].g, rtol=1e-7, atol=1e-9)
    bent = xb.Crossbar(cells.Sinh(RNG.uniform(1e-5, 1e-4, (4, 3)), 0.3), WIRES)
    own, known = (xb.solve(bent, X[0], solver) for solver in (ByJacobian(), None))
    np.testing.assert_allclose(own.i_out, known.i_out, rtol=1e-9)


class Cubic(eqx.Module):
    """Cells whose current has a cubic part, of this size at 1 V."""

    share: Any = eqx.field(metadata={"unit": "1", "about": "cubic part at 1 V"})

    def __call__(self, g: Any) -> cells.AbstractCell:
        g = jnp.asarray(g)
        return cells.Polynomial(jnp.stack([g, 0 * g, self.share * g]))


def test_a_law_is_one_entry(monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "cubic", Cubic)
    assert list(families.parameters_of("cubic")) == ["share"]
    law = families.family("cubic", {"share": 2.0, "v_0": 0.1})
    assert law is not None
    u = np.full((2, 2), 0.1)
    np.testing.assert_allclose(law(np.full((2, 2), 1e-5)).current(u), 1e-5 * (0.1 + 2e-3))
    hardware = xb.Hardware(wires=WIRES, cells=law)
    net = xb.Network.from_weights([WEIGHTS], [BIASES], hardware=hardware)
    array = net.layers[0].array()
    assert not array.cells.linear
    volts, solution = net.solve(X[0])[0]
    np.testing.assert_allclose(solution.i_out, xb.solve(array, volts.v_in).i_out, rtol=1e-12)
    np.testing.assert_allclose(net(X[0]), volts.v_out, rtol=1e-9)


SWEPT = """
from xbar.cells import families
from test_one_entry import Cubic

families.FAMILIES["cubic"] = Cubic
from xbar.run.settings.files import changed, settings_from
from xbar.run.settings.study import Study
from xbar.run.study.plan import Plan

tree = changed({"seeds": 2}, ["cells.law=cubic", "cells.share=[1.0, 2.0]"])
study = settings_from(Study, tree)
assert settings_from(Study, study.as_dict()) == study
assert study.cells.share == (1.0, 2.0), study.cells
table = Plan(study, (8, 7, 6)).table
assert sorted(set(table["share"])) == [1.0, 2.0] and set(table["law"]) == {"cubic"}
"""


def test_a_law_s_parameter_is_swept_in_studies_with_nothing_but_that_entry():
    # Laws are entered before the settings are loaded, as those of the package are.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run([sys.executable, "-c", SWEPT], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


class WeightedSum(eqx.Module):
    """A layer of the software: each input times a weight of its own, all added up."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return self.weight @ x + self.bias


class WeightedSumOnArrays(AbstractOnArrays):
    """The same on arrays."""

    weight: Array
    bias: Array | None
    fixed: Fixed = eqx.field(static=True)
    chip: Chip | None = None
    known: tuple[Array, ...] | None = None

    @staticmethod
    def of(layer: WeightedSum, fixed: Fixed) -> "WeightedSumOnArrays":
        return WeightedSumOnArrays(layer.weight, layer.bias, fixed)

    def matrices(self):
        assert self.bias is not None
        return [(self.weight[:, None], self.bias[None])]

    def rows(self, x):
        return [x]

    def outputs(self, found, x):
        return found[0][..., 0]


def test_a_kind_of_layer_is_one_entry(monkeypatch):
    layer = WeightedSum(jnp.asarray(WEIGHTS[:, 0]), jnp.asarray(BIASES[0]))
    monkeypatch.setitem(sys.modules["xbar.nn.convert"]._KINDS, WeightedSum, WeightedSumOnArrays)
    on_arrays = xb.convert(layer, calibration=X)
    assert isinstance(on_arrays, WeightedSumOnArrays)
    np.testing.assert_allclose(
        jax.vmap(on_arrays)(jnp.asarray(X)), jax.vmap(layer)(jnp.asarray(X)), rtol=1e-11
    )
    kept = nn.prepare(on_arrays)
    np.testing.assert_allclose(kept(jnp.asarray(X[0])), on_arrays(jnp.asarray(X[0])), rtol=1e-12)

"""Correctors of limited rank and of one factor per output; shapes that leave out the bias row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.io.store import StoreError
from xbar.io.tree import decode, encode, flatten, nest
from xbar.io.user import read_network
from xbar.learn.corrector import Corrector, DiagonalHead, predict, train_correctors
from xbar.run import CorrectorSettings, DefectSettings, Study, StudyError
from xbar.run.settings.files import checked
from xbar.run.study.circuits import hits
from xbar.run.study.plan import Plan


def voltages(n=60, outputs=10):
    """Each class lifts its own output, offsets and gains differ between outputs."""
    labels = jnp.arange(n) % outputs
    noise = 0.02 * jax.random.normal(jax.random.key(0), (n, outputs))
    clean = jnp.eye(outputs)[labels] + noise
    gain = jnp.linspace(0.05, 1, outputs)
    return clean * gain + jnp.linspace(3, 0, outputs), labels


@pytest.mark.parametrize(("hidden", "count"), [("diagonal", 20), ((1,), 31), ((2,), 52), ((), 110)])
def test_parameters(hidden, count):
    corrector = Corrector.init(jax.random.key(0), voltages()[0], hidden, "identity")
    assert corrector.parameter_count == count


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_without_an_activation_a_bottleneck_is_a_linear_map_of_that_rank(rank):
    v, _ = voltages()
    corrector = Corrector.init(jax.random.key(1), v, (rank,), "identity")
    jacobian = jax.vmap(jax.jacobian(corrector))(v[:3])
    assert np.linalg.matrix_rank(np.asarray(jacobian[0])) == rank
    assert np.allclose(jacobian[0], jacobian[1], rtol=1e-12)
    w1, w2 = corrector.head.weights
    expected = corrector.normalise(v) @ w1 @ w2  # new biases are 0
    assert np.allclose(corrector(v), expected, rtol=1e-12, atol=1e-12)


def test_a_diagonal_corrector_undoes_gains_and_offsets_of_each_output_and_no_mixture():
    v, labels = voltages()
    mixed = jnp.roll(v, 1, -1)
    both = jnp.stack([v, mixed])
    keys = jax.random.split(jax.random.key(2), 2)
    trained = train_correctors(
        both, jnp.stack([labels, labels]), keys, hidden="diagonal", steps=300
    )
    assert isinstance(trained.head, DiagonalHead)
    right = np.asarray(predict(trained, both) == labels).mean(-1)
    assert np.asarray(jnp.argmax(v, -1) == labels).mean() < 0.5
    assert right[0] == 1
    assert right[1] < 0.5
    z = trained.normalise(both)
    expected = trained.head.scale[:, None] * z + trained.head.bias[:, None]
    assert np.allclose(trained(both), expected, rtol=1e-12)


def test_a_stored_diagonal_corrector_comes_back():
    v, labels = voltages()
    keys = jax.random.split(jax.random.key(2), 2)
    both = jnp.stack([v, 2 * v])
    trained = train_correctors(both, jnp.stack([labels, labels]), keys, hidden="diagonal", steps=5)
    stored = {n: f if isinstance(f, str) else f.values for n, f in flatten(encode(trained))}
    again = jax.tree.map(lambda leaf: leaf[1], decode(nest(stored)))
    assert np.array_equal(again(2 * v), trained(both)[1])


def test_one_corrector_is_not_two_kinds():
    study = Study(correctors=(CorrectorSettings(bias_only=True, diagonal=True),))
    with pytest.raises(StudyError, match=r"correctors\[0\].diagonal: got true beside bias_only"):
        checked(study)
    assert CorrectorSettings((2,), activation="identity").label == "identity corrector 2"
    assert CorrectorSettings(diagonal=True).label == "diagonal corrector"


def test_a_circuit_has_no_identity(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, weights_0=np.eye(3), biases_0=np.zeros(3), activation="identity")
    with pytest.raises(StoreError, match="activation: got 'identity', needs one of"):
        read_network(path)


def test_a_shape_without_the_bias_row_leaves_it_alone_and_covers_the_rest():
    defects = tuple(
        DefectSettings(("circle", "column"), 0.35, 0, placements=4, bias_row=bias)
        for bias in (True, False)
    )
    plan = Plan(checked(Study(seeds=2, defects=defects)), (8, 6, 3))
    hit = hits(plan, plan.table, (9, 6), {})
    without = plan.table["bias_row"] == "without"
    column = plan.table["shape"] == "column"
    assert not hit[without, -1].any()
    assert hit[~without & column, -1].any(-1).all()
    # on the same places: a column hits the same pairs of the other rows
    a, b = (hit[column & (plan.table["bias_row"] == word)] for word in ("with", "without"))
    assert np.array_equal(a[:, :-1], b[:, :-1])

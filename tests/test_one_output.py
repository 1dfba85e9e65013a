"""A network of one output tells two classes apart: as one of two outputs, the first always 0."""

import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import quiet_console

import xbar as xb
from xbar import sensitivity as sens
from xbar.io import load_run
from xbar.io.store import read_results
from xbar.learn import corrector
from xbar.learn.mlp import MLP, accuracy, cross_entropy
from xbar.nn import from_sklearn
from xbar.run import run_study
from xbar.run.settings.files import read_study
from xbar.sensitivity.inputs import margin

RNG = np.random.default_rng(2)
LABELS = np.arange(80) % 2
X = RNG.uniform(0, 1, (80, 4)) + 0.4 * LABELS[:, None] * np.array([1.0, -0.5, 0.0, 1.0])
Z = RNG.normal(size=(9, 1))
WEIGHTS, BIASES = [RNG.normal(size=(4, 3)), RNG.normal(size=(3, 1))], [np.zeros(3), np.ones(1)]
STUDY = """
name = "two"
seeds = 2
references = ["nearest-neighbours", "retrained"]
[data]
file = "data.npz"
[network]
file = "net.npz"
[circuit]
tile = [4, 4]
[[defects]]
shape = "row"
coverage = 0.4
layer = 0
[[correctors]]
hidden = []
steps = 50
"""


def two_outputs():
    """The same network, a column of zeros before its output."""
    last, b = WEIGHTS[-1], BIASES[-1]
    return [WEIGHTS[0], np.hstack([0 * last, last])], [BIASES[0], np.hstack([0 * b, b])]


def test_losses_and_scores_are_those_of_logits_0_and_z():
    both, labels = np.hstack([0 * Z, Z]), jnp.arange(9) % 2
    sign = 2 * np.asarray(labels) - 1
    expected = np.mean(np.log1p(np.exp(-sign * Z[:, 0])))
    assert float(cross_entropy(jnp.asarray(Z), labels)) == pytest.approx(expected, rel=1e-12)
    right = np.mean((Z[:, 0] > 0) == np.asarray(labels))
    for judged in (accuracy, margin, cross_entropy):
        one, two = (judged(jnp.asarray(each), labels) for each in (Z, both))
        np.testing.assert_allclose(one, two, rtol=1e-12)
    assert float(accuracy(jnp.asarray(Z), labels)) == pytest.approx(right)


def test_maps_are_those_of_two_outputs():
    """With ideal wires, where the two columns of zeros change nothing."""
    found = []
    for weights, biases in ((WEIGHTS, BIASES), two_outputs()):
        k = np.full(3, 0.2)
        net = xb.Network.from_weights(weights, biases, activation="tanh", k=k)
        base = sens.baseline(net, X[:20], LABELS[:20])
        found.append((base.scores(), sens.cell_faults(base, 0, "on")))
    (own, maps), (theirs, expected) = found
    np.testing.assert_allclose(own.loss, theirs.loss, rtol=1e-12)
    np.testing.assert_allclose(maps.loss, expected.loss, rtol=1e-10)
    np.testing.assert_allclose(maps.accuracy, expected.accuracy)


def test_more_than_two_classes_are_refused():
    net = xb.Network.from_weights(WEIGHTS, BIASES)
    with pytest.raises(ValueError, match=r"labels: got 2, needs 0\.\.1, which one output tells"):
        sens.baseline(net, X, np.arange(80) % 3)


def test_a_logistic_regression_keeps_its_decisions():
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(X, LABELS)
    volts = from_sklearn(fitted, calibration=X)(X)
    assert volts.shape == (80, 1)
    assert float(accuracy(volts, jnp.asarray(LABELS))) == pytest.approx(fitted.score(X, LABELS))


def test_a_study_takes_one_as_it_takes_two(tmp_path):
    found = {}
    for name, (weights, biases) in {"one": (WEIGHTS, BIASES), "two": two_outputs()}.items():
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / "data.npz", x=X, y=LABELS)
        parts = {f"weights_{k}": w for k, w in enumerate(weights)}
        parts |= {f"biases_{k}": b for k, b in enumerate(biases)}
        np.savez(folder / "net.npz", **parts)
        (folder / "study.toml").write_text(STUDY + "\n[store]\ncorrectors = true\narrays = true\n")
        study = read_study(folder / "study.toml")
        summary = run_study(study, folder / "run", quiet_console(), beside=folder)
        found[name] = summary["accuracy"]
        run = load_run(folder / "run")
        classes = read_results(folder / "run" / "results.h5", ("correctors",))[0]["correctors"]
        assert run.network("healthy").layers[-1].outputs == (1 if name == "one" else 2)
        assert set(np.unique(next(iter(classes.values()))["classes"])) <= {0, 1}
    assert found["one"]["software"] == pytest.approx(found["two"]["software"])
    assert found["one"]["healthy"] == pytest.approx(found["two"]["healthy"], abs=0.02)
    assert found["one"]["linear corrector"] > 0.5
    assert set(found["one"]) == set(found["two"])


def test_a_corrector_of_one_output_predicts_both_classes():
    model = MLP((np.ones((1, 1)),), (np.zeros(1),))
    found = corrector.Corrector(jnp.zeros(1), jnp.ones(1), model)
    assert list(corrector.predict(found, jnp.asarray([[-1.0], [2.0]]))) == [0, 1]


def test_votes_of_pairs_and_links_are_refused():
    """Their coefficients alone would give other outputs, in silence."""
    from sklearn.linear_model import PoissonRegressor
    from sklearn.svm import SVC

    for estimator in (SVC(kernel="linear"), PoissonRegressor()):
        with pytest.raises(ValueError, match="not those of coef_ and intercept_ alone"):
            from_sklearn(estimator.fit(X, np.arange(80) % 3))


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("tile", [65, "ab", (6.5, 128), (65, 127), (0, 2)])
def test_tiles_of_no_size_get_a_sentence(tile):
    with pytest.raises(ValueError, match=r"tile: got .*, needs \(rows, cols\) of cells"):
        xb.Hardware(tile=tile)

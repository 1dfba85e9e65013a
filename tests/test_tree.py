"""Any frozen module goes to HDF5 and comes back equal, with units, axes and meaning beside it."""

import dataclasses

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import network

import xbar as xb
from xbar.devices import PRESETS, Circle, Scattered, StuckCells, StuckPair, preset
from xbar.devices.mapping import Pairs, Window
from xbar.fields import described
from xbar.io.files import StoreError
from xbar.io.runs import load_run
from xbar.io.store import read_results, write_results
from xbar.io.tree import CLASS, PLAIN, check_shapes, class_of, decode, encode
from xbar.learn.corrector import Corrector, train_correctors
from xbar.learn.mlp import MLP

RNG = np.random.default_rng(0)


def corrector(hidden):
    volts, labels = RNG.normal(size=(2, 30, 3)), RNG.integers(3, size=(2, 30))
    keys = jax.random.split(jax.random.key(0), 2)
    return train_correctors(jnp.asarray(volts), jnp.asarray(labels), keys, hidden=hidden, steps=2)


MODULES = {
    "network": network,
    "corrector of the bias": lambda: corrector(None),
    "linear corrector": lambda: corrector(()),
    "diagonal corrector": lambda: corrector("diagonal"),
    "corrector with hidden layers": lambda: corrector((3, 2)),
    "software network": lambda: MLP.init(jax.random.key(1), (4, 3, 2), "sigmoid"),
    "array": lambda: xb.Crossbar(RNG.random((2, 3)), xb.Wires(1.0, 2.0)),
    "solver": lambda: xb.CG(rtol=1e-7),
    "fault with a word": lambda: StuckPair("off"),
    "fault with a value": lambda: StuckPair(3e-4),
    "fault with rates": lambda: StuckCells(0.1, 0.2),
    "mask": lambda: Circle((0.2, 0.3), 0.4),
    "mask with a key": lambda: Scattered(0.3, jax.random.key(3)),
    "masks within masks": lambda: Circle((0.2, 0.3), 0.4) | ~Circle((0.7, 0.6), 0.1),
    **{f"device {name}": lambda name=name: preset(name) for name in PRESETS},
    "containers": lambda: (Window.preset(), [1.5, "a", None], {"b": (1, (True, "c")), "d": ()}),
}


def through_a_file(tmp_path, tree):
    write_results(tmp_path / "results.h5", {"it": tree}, {})
    return read_results(tmp_path / "results.h5")[0]["it"]


def same(a, b):
    """Equal in structure, static fields, kinds of numbers and every bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert type(x) is type(y) or (np.asarray(x).dtype == np.asarray(y).dtype)
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.mark.parametrize("name", MODULES)
def test_it_comes_back_equal(tmp_path, name):
    item = MODULES[name]()
    found = decode(through_a_file(tmp_path, item))
    same(found, item)


def test_stacks_lead_with_an_axis_and_come_back_one_by_one(tmp_path):
    networks = [network(0), network(1)]
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    found = decode(through_a_file(tmp_path, encode(stack, ("seed",))))
    for number, original in enumerate(networks):
        one = jax.tree.map(lambda leaf, n=number: jnp.asarray(leaf[n]), found)
        same(one, original)
        check_shapes(one)
    with h5py.File(tmp_path / "results.h5") as file:
        layers = file["it/layers"]
        axes = {
            "0/pairs/g_plus": ["seed", "row", "pair"],
            "0/wires/word_line": ["seed", "row", "column"],
            "0/wires/source": ["seed", "row"],
            "1/wires/source": ["seed"],
            "0/readout/steps/0/r_f": ["seed"],
        }
        for name, expected in axes.items():
            assert list(layers[name].attrs["axes"]) == expected
        assert layers["0/pairs/g_plus"].attrs["unit"] == "S"
        assert layers["0/readout/steps/0/r_f"].attrs["unit"] == "ohm"


@pytest.mark.parametrize("name", ["network", "linear corrector", "diagonal corrector", "array"])
def test_every_array_of_what_runs_store_is_described(name):
    def check(item, about):
        if isinstance(item, eqx.Module):
            for field in dataclasses.fields(item):
                check(getattr(item, field.name), (field.name, field.metadata))
        elif isinstance(item, tuple):
            for child in item:
                check(child, about)
        elif isinstance(item, jax.Array):
            assert {"unit", "axes", "about"} <= set(about[1]), about[0]

    check(MODULES[name](), None)


class Foreign(eqx.Module):
    """Of no package of xbar's."""

    g: jax.Array = eqx.field(metadata=described("S", (), "of a test"))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Foreign(jnp.ones(2)), r"it: got a .*Foreign, needs one of xbar's own modules"),
        ((Window.preset(), Foreign(jnp.ones(2))), r"it.1: got a .*Foreign"),
        ({"f": [jnp.ones(2), len]}, "it.f.1: got builtin_function_or_method, needs modules"),
        ([lambda g: g], "it.0: got function, needs modules"),
        ([load_run], "it.0: got function, needs modules"),
        ({"f": [np.array([object()])]}, "it.f.0: got an array of object, needs"),
        ({"f": [jnp.ones(2, "bfloat16")]}, "it.f.0: got an array of bfloat16, needs"),
        ({"a/b": [1]}, "it: got the name 'a/b', needs one without"),
        ({CLASS: [1]}, "it: got the name 'class'"),
    ],
)
def test_what_no_file_can_hold_is_named(tmp_path, item, message):
    with pytest.raises(TypeError, match=message):
        write_results(tmp_path / "results.h5", {"it": encode(item)}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval",
        "os.system",
        "xbar.__main__.main",
        "xbar.devices.mapping.map_weights",  # a function
        "xbar.devices.mapping.Nothing",
        "xbar.devices.nowhere.Pairs",
        "xbar.devices.mapping._Hidden",
        "xbar.devices.masks.AbstractMask",
        "xbar.nn.Network",  # not where it is defined
        "xbar.devices.mapping.eqx.Module",
        "xbar..Pairs",
        "Pairs",
        "",
    ],
)
def test_only_classes_of_ours_are_looked_up(name):
    with pytest.raises(StoreError, match="which this xbar does not have"):
        class_of(name)
    with pytest.raises(StoreError, match=r"^here: got a .* which this xbar does not have"):
        decode({CLASS: name}, "here")


def stored(item):
    """As a file gives it back."""

    def plain(tree):
        if not isinstance(tree, dict):
            return tree if isinstance(tree, str) else np.asarray(tree.values)
        return {name: plain(child) for name, child in tree.items()}

    return plain(encode(item))


PAIRS = Pairs(np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"g_plus": None}, "it lacks 'g_plus', which Pairs needs"),
        ({"g_zero": np.ones(2)}, "it: got 'g_zero', which Pairs does not have"),
        ({"g_plus": np.array("a word")}, "it/g_plus: got text, needs numbers"),
        ({"g_plus": np.ones((2, 3, 1))}, r"it/g_plus: got float64 \(2, 3, 1\), needs Float"),
        ({"g_minus": np.ones((2, 2))}, r"it/g_minus: got float64 \(2, 2\), needs Float.* fits"),
        ({"g_plus": np.ones((2, 3), int)}, r"it/g_plus: got int64 \(2, 3\), needs Float"),
        ({PLAIN: "[1, 2]"}, r"it: got '\[1, 2\]', needs plain values as JSON"),
        ({PLAIN: "{'a'"}, "needs plain values as JSON"),
        ({PLAIN: "[" * 100_000}, "needs plain values as JSON"),
        ({PLAIN: np.ones(2)}, "needs plain values as JSON"),
        ({CLASS: "tuple"}, r"it: got members \['g_minus', 'g_plus'\], needs 0, 1, 2"),
        ({CLASS: "key"}, "it: got no key of JAX"),
        ({CLASS: "function"}, "it: got no function of xbar"),
        ({CLASS: "function", PLAIN: '{"name": "xbar.io.store.claim"}'}, "no function of xbar"),
        ({CLASS: "function", PLAIN: '{"name": "xbar.devices.faults.jnp.asarray"}'}, "no function"),
    ],
)
def test_what_is_no_such_module_is_named(change, message):
    tree = {name: item for name, item in (stored(PAIRS) | change).items() if item is not None}
    with pytest.raises(StoreError, match=message):
        check_shapes(jax.tree.map(jnp.asarray, decode(tree)))


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        ("layers/0", {PLAIN: '{"activation": "gelu"}'}, r"layers/0: .*'gelu', needs"),
        ("layers/1", {PLAIN: "{}"}, "layers/1 lacks 'activation'"),
        ("layers", {"3": "a"}, "layers/3: got a word, needs an array or a group"),
        ("layers", {"3": np.ones(2)}, "layers: got members"),
    ],
)
def test_what_is_no_such_network_is_named(place, change, message):
    tree = stored(network())
    group = tree
    for part in place.split("/"):
        group = group[part]
    group.update(change)
    with pytest.raises(StoreError, match=message):
        decode(tree)


def test_a_field_that_the_file_does_not_know_takes_its_default():
    tree = stored(MLP((np.ones((2, 2)),), (np.ones(2),), "relu"))
    del tree[PLAIN]
    assert decode(tree).activation == "relu"
    assert isinstance(corrector(None), Corrector)

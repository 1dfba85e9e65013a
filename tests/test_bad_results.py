"""Results and shards that are wrong, edited or exchanged: one sentence that names the place."""

import os

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_files import X, Y, refused

import xbar as xb
from xbar.io import load_run, verify_results
from xbar.io.shards import read_shard, write_shard
from xbar.io.store import Field, write_results, write_text
from xbar.io.tree import CLASS, encode
from xbar.learn.corrector import BiasHead, Corrector
from xbar.learn.mlp import MLP
from xbar.nn import Network

# --- shards -------------------------------------------------------------------------------------


def test_two_shards_that_changed_places_are_found_out(tmp_path):
    a, b = tmp_path / "circuits-000000.h5", tmp_path / "circuits-000001.h5"
    write_shard(a, {"volts": X}, "run")
    write_shard(b, {"volts": 2 * X}, "run")
    np.testing.assert_array_equal(read_shard(a, "run")["volts"], X)
    a.rename(tmp_path / "c.h5")
    b.rename(a)
    (tmp_path / "c.h5").rename(b)
    for path, name in ((a, b.name), (b, a.name)):
        refused(lambda p: read_shard(p, "run"), path, f"got the shard '{name}'")


def with_shard(change):
    def made(path):
        write_shard(path, {"volts": X, "net": MLP((np.ones((2, 2)),), (np.ones(2),))}, "run")
        with h5py.File(path, "a") as file:
            change(file)

    return made


WRONG_SHARDS = {
    "another run's": (with_shard(lambda f: f.attrs.__setitem__("belongs_to", "x")), "another run"),
    "another format": (with_shard(lambda f: f.attrs.__setitem__("format", "x")), "another format"),
    "the format before": (
        with_shard(lambda f: f.attrs.__setitem__("format_version", 1)),
        "another format, needs 'xbar shard' version 2",
    ),
    "a changed number": (
        with_shard(lambda f: f["tree/volts"].__setitem__((0, 0), 5)),
        "/tree/volts: other numbers than were written",
    ),
    "a changed word": (
        with_shard(lambda f: f["tree/net"].attrs.__setitem__("plain values", "{}")),
        "names or units that are not those which were written",
    ),
    "a dataset gone": (with_shard(lambda f: f.__delitem__("tree/volts")), "names or units"),
    "one more": (with_shard(lambda f: f.__setitem__("tree/more", X)), "other numbers|names or"),
    "text": (lambda path: path.write_text("no"), "cannot be read"),
    "cut off": (
        lambda path: (write_shard(path, {"x": X}, "run"), os.truncate(path, 900)),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("case", WRONG_SHARDS)
def test_wrong_shards(tmp_path, case):
    make, message = WRONG_SHARDS[case]
    make(tmp_path / "a.h5")
    refused(lambda path: read_shard(path, "run"), tmp_path / "a.h5", message)


# --- results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    weights = [np.linspace(-1, 1, 12).reshape(4, 3), np.linspace(-1, 1, 6).reshape(3, 2)]
    return Network.from_weights(weights, wires=xb.Wires(1.0, 1.0))


def contents(network):
    """What a study of two seeds and four circuits stores, last layer broken."""

    def stack(item, count):
        return jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * count), item)

    def by(axis, values, unit="1"):
        return Field(np.asarray(values), unit, (axis, *"abcd"[: np.ndim(values) - 1]), "")

    model = MLP((np.ones((4, 3)), np.ones((3, 2))), (np.ones(3), np.ones(2)), "relu")
    reader = Corrector(jnp.zeros(2), jnp.ones(2), BiasHead(jnp.zeros(()), jnp.zeros(2)))
    pairs = network.layers[1].pairs
    broken = np.stack([np.asarray(pairs.g_plus)] * 4)
    return {
        "data": {
            "name": "mine",
            "images": by("image", X),
            "labels": by("image", Y),
            "base": by("seed", [[0, 1, 2], [3, 4, 5]]),
            "corrector": by("seed", [[6, 7], [8, 9]]),
            "test": by("seed", [[10, 11], [1, 2]]),
        },
        "circuits": {
            "seed": by("circuit", [0, 0, 1, 1]),
            "healthy": by("circuit", [0, 0, 1, 1]),
            "layer": by("circuit", [1, 1, 1, 1]),
        },
        "software": encode(stack(model, 2), ("seed",)),
        "healthy": encode(stack(network, 2), ("healthy",)),
        "arrays": {
            "layer_1": {
                "g_plus": by("circuit", broken, "S"),
                "g_minus": by("circuit", broken, "S"),
                "hit": by("circuit", broken > 0),
            }
        },
        "correctors": {"14": {"corrector": encode(stack(reader, 4), ("circuit",))}},
        "voltages": {
            "images": by("seed", [[10, 11], [1, 2]]),
            "defective": by("circuit", np.zeros((4, 2, 2)), "V"),
        },
    }


def publish(folder, groups, config):
    write_results(folder / "results.h5", groups, config)
    for name in ("run.json", "summary.json"):
        (folder / name).write_text("{}")
    return folder


def everything(folder):
    """Whatever a command may ask of a run."""
    run = load_run(folder)
    for circuit in range(run.circuits):
        network = run.network("defective", circuit)
        network.layers[0].array()
        x = run.images[run.parts["test"][circuit]]
        assert x.shape == (2, 4)
        run.hit(circuit)
        run.corrector(circuit)
        run.software(circuit)
    run.voltages([0, 3])
    run.correctors([0, 1], "14")
    return run


def test_the_right_results_are_read(tmp_path, network):
    publish(tmp_path, contents(network), {"name": "x"})
    assert everything(tmp_path).circuits == 4
    assert verify_results(tmp_path / "results.h5") == []


def put(place, values):
    """Another array at a place of the groups before they are written, None for none at all."""

    def change(groups):
        *path, last = place.split("/")
        group = groups
        for part in path:
            group = group[part]
        if values is None:
            del group[last]
        elif isinstance(values, str | dict) or not isinstance(group.get(last), Field):
            group[last] = values
        else:
            axes = tuple("abcdef"[: np.ndim(values)])
            group[last] = group[last]._replace(values=np.asarray(values), axes=axes)

    return change


G = "arrays/layer_1/g_plus"
WRONG_RESULTS = {
    "no circuits": (put("circuits", None), "nothing named 'circuits'"),
    "circuits of nothing": (put("circuits", {}), "circuits: got columns none"),
    "no column layer": (put("circuits/layer", None), "circuits: got columns seed, healthy of"),
    "a column too short": (put("circuits/layer", [1, 1, 1]), "circuits: got columns seed"),
    "columns of one number": (put("circuits", {"seed": Field(1, "1", (), "")}), "circuits: got"),
    "no data": (put("data", None), "nothing named 'data/images'"),
    "no test part": (put("data/test", None), "nothing named 'data/test'"),
    "no images": (put("data/images", None), "nothing named 'data/images'"),
    "images in three axes": (put("data/images", X[None]), r"data/images: got float64 \(1, 12, 4\)"),
    "images of text": (put("data/images", np.full((12, 4), "a")), "data/images: got <U1"),
    "seed 99": (put("circuits/seed", [0, 99, 0, 0]), "circuits/seed: got 0 to 99, needs 0..1"),
    "seed -99": (put("circuits/seed", [0, -99, 0, 0]), "circuits/seed: got -99 to 0"),
    "seeds in halves": (put("circuits/seed", [0.5] * 4), "circuits/seed: got float64"),
    "seeds in words": (put("circuits/seed", ["a"] * 4), "circuits/seed: got <U1"),
    "healthy circuit 7": (put("circuits/healthy", [7] * 4), r"healthy: got arrays of \[2\]"),
    "layer 2": (put("circuits/layer", [2] * 4), "circuits/layer: got 2, needs 0..1"),
    "layer -1": (put("circuits/layer", [-1] * 4), "circuits/layer: got -1, needs 0..1"),
    "a test image out of range": (put("data/test", [[10, 12], [1, 2]]), "data/test: got 1 to 12"),
    "a negative test image": (put("data/test", [[10, -1], [1, 2]]), "data/test: got -1 to 10"),
    "test images of one axis": (put("data/test", [10, 11]), r"data/test: got int64 \(2,\)"),
    "labels too few": (put("data/labels", Y[:5]), "data/labels: got int64 .5,., needs whole"),
    "conductances as text": (put(G, np.full((4, 4, 2), "a")), f"{G}: got <U1"),
    "conductances below 0": (put(G, -np.ones((4, 4, 2))), "Pairs.g_plus: got -1.0, needs finite"),
    "conductances of NaN": (put(G, np.full((4, 4, 2), np.nan)), "Pairs.g_plus: got nan, needs"),
    "pairs of another shape": (put(G, np.ones((4, 4, 3))), "Pairs.g_minus: got shape"),
    "broken arrays too few": (put(G, np.ones((3, 4, 2))), f"{G}: got float64 .3, 4, 2., needs"),
    "no broken arrays": (put("arrays", None), f"nothing named '{G}'"),
    "a layer gone": (put("healthy/layers/0", None), "layers: got members .'1'., needs 0, 1"),
    "a layer of text": (put("healthy/layers/0", "word"), "healthy"),
    "no layers": (put("healthy/layers", None), "healthy lacks 'layers'"),
    "no healthy circuits": (put("healthy", None), "nothing named 'healthy'"),
    "healthy circuits of no class": (put(f"healthy/{CLASS}", None), "healthy: got format version"),
    "healthy circuits of another": (
        put("healthy", {CLASS: "dict"}),
        "healthy: got format version 3, needs a Network",
    ),
    "a class of another program": (put(f"healthy/{CLASS}", "os.system"), "healthy: got a 'os.sys"),
    "an unknown activation": (
        put("healthy/layers/0/plain values", '{"activation": "gelu"}'),
        "layers/0: Layer.activation: got 'gelu', needs None, a function or one of",
    ),
    "gains too few": (
        put("healthy/layers/0/readout/steps/0/r_f", [1.0]),
        r"healthy: got arrays of \[1, 2",
    ),
    "a gain as text": (put("healthy/layers/0/readout/steps/0/r_f", ["a", "b"]), "r_f: got text"),
    "biases that do not fit": (put("software/biases/0", np.ones((2, 9))), "software: MLP.biases"),
    "a corrector's mean of another shape": (
        put("correctors/14/corrector/mean", np.ones((4, 3))),
        "correctors/14/corrector/std: got float64",
    ),
    "voltages too few": (
        put("voltages/defective", np.ones((3, 2, 2))),
        r"voltages/defective: got shape \(3, 2, 2\), needs \(4, 2, classes\)",
    ),
    "voltages' images out of range": (
        put("voltages/images", [[10, 11], [1, 99]]),
        "voltages/images: got 1 to 99",
    ),
}


@pytest.mark.parametrize("case", WRONG_RESULTS)
def test_results_with_wrong_contents(tmp_path, network, case):
    change, message = WRONG_RESULTS[case]
    groups = contents(network)
    change(groups)
    publish(tmp_path, groups, {"name": "x"})
    text = refused(everything, tmp_path, message)
    assert text.startswith(str(tmp_path / "results.h5"))


def edited(change):
    def make(folder, network):
        publish(folder, contents(network), {"name": "x"})
        with h5py.File(folder / "results.h5", "a") as file:
            change(file)

    return make


def attribute(name, value):
    return edited(lambda file: file.attrs.__setitem__(name, value))


def truncated(folder, network):
    publish(folder, contents(network), {})
    os.truncate(folder / "results.h5", 5000)


def a_link_to_itself(file):
    file["circuits/again"] = file["circuits"]


EDITED_RESULTS = {
    "settings: a number": (attribute("config", "3"), "got the settings '3', needs a table"),
    "settings: a list": (attribute("config", "[1]"), "got the settings '.1.', needs a table"),
    "settings: no JSON": (attribute("config", "{"), "cannot be read"),
    "settings: deep": (attribute("config", "[" * 9000), "cannot be read"),
    "settings: not text": (attribute("config", np.arange(3)), "cannot be read"),
    "settings: others": (attribute("config", '{"name": "y"}'), "settings that are not those"),
    "version: a list": (attribute("format_version", np.array([3, 3])), "got format version .3 3"),
    "version: a word": (attribute("format_version", "three"), "got format version three"),
    "version: 99": (attribute("format_version", 99), "version 99, needs 3; read it with the newer"),
    "version: 1": (attribute("format_version", 1), "version 1, needs 3; read it with the older"),
    "version: 3.5": (attribute("format_version", 3.5), "got format version 3.5"),
    "another program's": (attribute("format", "theirs"), "an HDF5 file of another program"),
    "no format": (edited(lambda f: f.attrs.__delitem__("format")), "of another program"),
    "another conductance": (
        edited(lambda f: f[G].__setitem__((0, 0, 0), 1e-3)),
        "g_plus: other numbers than were written",
    ),
    "another seed": (
        edited(lambda f: f["circuits/seed"].__setitem__(0, 1)),
        "circuits/seed: other numbers than were written",
    ),
    "another unit": (
        edited(lambda f: f[G].attrs.__setitem__("unit", "ohm")),
        "names, units or settings that are not those which were written",
    ),
    "a dataset gone": (edited(lambda f: f.__delitem__("voltages")), "names, units or settings"),
    "a dataset more": (
        edited(lambda f: f.__setitem__("circuits/more", [1] * 4)),
        "names, units",
    ),
    "a dataset without its checksum": (
        edited(lambda f: f[G].attrs.__delitem__("sha256")),
        "names, units or settings",
    ),
    "a link to itself": (edited(a_link_to_itself), "or a link to itself"),
    "a link to another file": (
        edited(lambda f: f.__setitem__("circuits/far", h5py.ExternalLink("x.h5", "/x"))),
        "'far' is a link to elsewhere, never followed",
    ),
    "cut off": (truncated, "cannot be read or is damaged"),
}


@pytest.mark.parametrize("case", EDITED_RESULTS)
def test_results_that_were_edited(tmp_path, network, case):
    make, message = EDITED_RESULTS[case]
    make(tmp_path, network)
    text = refused(everything, tmp_path, message)
    assert text.startswith(str(tmp_path / "results.h5"))


def test_a_check_names_everything_that_is_damaged(tmp_path, network):
    publish(tmp_path, contents(network), {})
    path = tmp_path / "results.h5"
    with h5py.File(path, "a") as file:
        file["data/images"][3, 2] += 1e-12
        file["voltages/defective"][0, 0, 0] = -0.0  # equal, and yet another number
        file["circuits"].attrs["note"] = "mine"
    assert verify_results(path) == [
        "names, units or settings: other ones than were written",
        "/data/images: other numbers than were written",
        "/voltages/defective: other numbers than were written",
    ]


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["text", "results", "shard"])
def test_no_link_is_followed_when_writing(tmp_path, what):
    mine = tmp_path / "mine"
    mine.write_text("keep me")
    path = tmp_path / "results.h5"
    path.symlink_to(mine)
    write = {
        "text": lambda: write_text(path, "new"),
        "results": lambda: write_results(path, {}, {}),
        "shard": lambda: write_shard(path, {"x": X}, "run"),
    }
    write[what]()
    assert mine.read_text() == "keep me"
    assert path.is_file()
    assert not path.is_symlink()
    assert {file.name for file in tmp_path.iterdir()} == {"mine", "results.h5"}

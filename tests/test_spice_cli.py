"""`xbar spice`: export and verify on a run's circuits, exit codes, one line per mistake."""

from types import SimpleNamespace

import equinox as eqx
import numpy as np
import pytest
from spice_cases import needs_ngspice, small_network
from typer.testing import CliRunner

from xbar import spice as api
from xbar.cli.spice import spice
from xbar.devices import Everywhere, StuckPlus
from xbar.io import runs
from xbar.io.store import StoreError
from xbar.run.errors import UsageError

HEALTHY, IMAGES = small_network("relu", open_loop_gain=1e3)
DEFECTIVE = HEALTHY.with_fault(1, Everywhere(), StuckPlus("on"))


class Run:
    """A stored run of two circuits and three images, all of them the test part."""

    def __init__(self, path):
        if path.name != "run":
            raise StoreError(f"{path}: got no such folder, needs the folder of a finished xbar run")
        self.images = IMAGES
        self.parts = {"test": np.array([[1, 2, 0], [1, 2, 0]])}

    def network(self, name="defective", circuit=0):
        if not 0 <= circuit < 2:
            raise ValueError(f"circuit: got {circuit}, needs 0..1")
        return HEALTHY if name == "healthy" else DEFECTIVE


@pytest.fixture(autouse=True)
def _run(monkeypatch):
    monkeypatch.setattr(runs, "load_run", Run)


def call(*words) -> SimpleNamespace:
    done = CliRunner().invoke(spice, list(map(str, words)))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return SimpleNamespace(status=done.exit_code, out=done.stdout)


def test_export_of_the_network():
    done = call("export", "some/run")
    assert done.status == 0
    title = "* some/run: defective circuit 0, whole network\n"
    assert title in done.out
    cells = np.zeros((6, 8), bool)
    cells[:, 0::2] = DEFECTIVE.layers[1].pairs.g_plus != HEALTHY.layers[1].pairs.g_plus
    assert done.out.count("* fault") == cells.sum() > 0
    expected = api.network_netlist(DEFECTIVE, IMAGES[1], faults={1: cells})
    assert done.out.replace(title, "") == expected


def test_export_of_a_layer_into_a_file(tmp_path):
    out = tmp_path / "layer.cir"
    done = call("export", "run", "--layer", 2, "--healthy", "--image", 1, "--out", out)
    assert (done.status, done.out) == (0, f"{out}\n")
    v = HEALTHY.layer_voltages(IMAGES[2])[1]
    title = "run: healthy circuit 0, layer 2"
    assert out.read_text() == api.layer_netlist(HEALTHY.layers[2], v, number=2, title=title)


def test_export_of_a_subcircuit():
    done = call("export", "run", "--layer", 1, "--subckt", "--circuit", 1)
    assert "\n.subckt layer_1\n+ in_0 " in done.out
    assert "circuit 1" in done.out
    assert done.out.endswith(".ends layer_1\n")


MISTAKES = {
    "no run": (["verify", "elsewhere"], "no such folder"),
    "no such circuit": (["export", "run", "--circuit", 2], "circuit: got 2, needs 0..1"),
    "no such layer": (["export", "run", "--layer", 3], "--layer: got 3, needs 0..2"),
    "too many images": (["verify", "run", "--images", 4], "images: got 4, needs at most 3"),
    "subcircuit of all": (["export", "run", "--subckt"], "--subckt: got no --layer"),
    "no such place": (["export", "run", "--out", "/nowhere/x.cir"], "--out: /nowhere/x.cir"),
    "no such ngspice": (["verify", "run", "--ngspice", "/nowhere/ng"], "ngspice: got none at"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, monkeypatch):
    words, message = MISTAKES[name]
    if "--ngspice" not in words:
        monkeypatch.setattr(api, "find_ngspice", lambda path: api.Ngspice("/bin/false", "39"))
    with pytest.raises(UsageError, match=message) as error:  # `xbar` exits 2 with its text
        call(*words)
    assert "\n" not in str(error.value)


@needs_ngspice
@pytest.mark.parametrize("options", [[], ["--layer", 0], ["--layer", 2, "--circuit", 1]])
def test_verify(options):
    done = call("verify", "run", "--images", 3, *options)
    assert done.status == 0, done.out
    assert "largest relative error" in done.out
    assert done.out.count("agrees") == 6
    assert "DISAGREE" not in done.out
    assert f"and ngspice {api.find_ngspice().version} agree" in done.out


@needs_ngspice
def test_verify_exits_1_when_they_disagree(monkeypatch):
    """xbar's own network is given another wire than the one that is exported."""
    from xbar.nn import Network

    transfers = Network.transfers

    def wrong(self, **options):
        layer = self.layers[1]
        other = eqx.tree_at(lambda a: a.wires.sense, layer, layer.wires.sense + 1)
        others = eqx.tree_at(lambda n: n.layers[1], self, other)
        return transfers(others, **options)

    monkeypatch.setattr(Network, "transfers", wrong)
    done = call("verify", "run", "--images", 1)
    assert done.status == 1
    assert "layer 0: v_out" in done.out
    assert done.out.count("DISAGREES") == 4
    assert "DISAGREE\n" in done.out

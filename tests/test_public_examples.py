"""Every public name has an example in the reference, and the examples run.

Examples stand in docstrings (```python blocks) or in docs/_site/examples.toml. They share the names
that `names` prepares. Running them all compiles much, so that it is slow.
"""

import importlib
import inspect
import re
import shutil
import sys
import textwrap
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, network

import xbar as xb
from xbar import sensitivity as sens

pytestmark = pytest.mark.optimized

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_site"))
import reference  # noqa: E402 - beside the hooks of the site

TABLE = tomllib.loads((ROOT / "docs" / "_site" / "examples.toml").read_text(encoding="utf-8"))
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
CLASSIC = re.compile(r"^\s*>>> (.*)$", re.MULTILINE)
PUBLIC = {
    f"{module}.{name}": (module, name, where)
    for module, names in reference.all_public(ROOT).items()
    for name, where in names.items()
}
# Names without an example, most of them figures of whole runs. This number may only become smaller.
MOST_WITHOUT = 20
# Examples of the table that may fail: it was written on a machine too busy to run them all. This
# number may only become smaller.
MOST_BROKEN = 4
# Examples that show how a call looks, with names of the reader's own.
SHOWN = {
    "xbar.batch_map",
    "xbar.elmore_delay",
    "xbar.io.load_map",
    "xbar.devices.ChipMap",
    "xbar.nn.from_sklearn",
    "xbar.nn.from_torch",
    "xbar.run.labelled",
    "xbar.io.load_dataset",
    "xbar.keep_compiled",
    "xbar.nn.convert",
    "xbar.convert",
    "xbar.nn.Linear",
}


def code_of(full: str) -> str | None:
    module, name, where = PUBLIC[full]
    if name in TABLE.get(module, {}):
        return TABLE[module][name]
    source, _, own = where.rpartition(".")
    text = inspect.getdoc(getattr(importlib.import_module(source), own)) or ""
    found = BLOCK.findall(text) or ["\n".join(CLASSIC.findall(text))]
    return textwrap.dedent(found[0]).strip() or None


def names(folder: Path) -> dict:
    net, x = network(), np.asarray(inputs())
    g = np.random.default_rng(0).uniform(1e-6, 1e-4, (4, 6))
    wires = xb.Wires(2.0, 3.0)
    found = {"jax": jax, "jnp": jnp, "np": np, "xb": xb, "sens": sens, "folder": folder}
    found |= {"g": g, "wires": wires, "array": xb.Crossbar(g, wires), "v_in": np.full(4, 0.2)}
    found |= {"key": jax.random.key(0), "net": net, "x": x, "labels": labels()}
    found |= {"sol": xb.solve(found["array"], found["v_in"]), "window": xb.Window.preset()}
    found |= {"pairs": net.layers[0].pairs, "v": np.full((2, 4), 0.1), "w": np.eye(3)}
    rng = np.random.default_rng(1)
    found |= {"weights": [rng.normal(size=(3, 3)), rng.normal(size=(3, 3))], "volts": net(x)}
    found |= {"base": sens.baseline(net, x, labels()), "biases": None, "Path": Path}
    for package in ("xbar.devices", "xbar.run", "xbar.circuit", "xbar.nn"):
        loaded = importlib.import_module(package)
        found |= {k: getattr(loaded, k) for k in dir(loaded) if k[0].isupper() or k == "preset"}
    found["cells"] = importlib.import_module("xbar.cells")
    run = importlib.import_module("xbar.run")
    return found | {"read_study": run.read_study, "write_study": run.write_study}


def test_every_public_name_has_an_example_that_is_python():
    codes = {full: code_of(full) for full in PUBLIC}
    for full, code in codes.items():
        compile(code or "", full, "exec")
    without = sorted(full for full, code in codes.items() if code is None)
    assert len(without) <= MOST_WITHOUT, without


def test_every_public_name_has_a_docstring_with_a_first_sentence():
    for module, name, where in PUBLIC.values():
        source, _, own = where.rpartition(".")
        thing = getattr(importlib.import_module(source), own)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue  # a constant: its text stands beside it
        text = inspect.getdoc(thing) or ""
        assert text.splitlines()[0].rstrip(":").endswith((".", "?")), f"{module}.{name}"


def test_the_table_names_public_things_alone():
    listed = {f"{module}.{name}" for module, names in TABLE.items() for name in names}
    assert listed <= set(PUBLIC)


@pytest.mark.slow
def test_examples_run(tmp_path, monkeypatch, no_shape_checks):
    monkeypatch.chdir(tmp_path)  # some write their figure where they run
    shared, failed = names(tmp_path), {}
    for full in sorted(set(PUBLIC) - SHOWN):
        code = code_of(full) or ""
        if "# needs ngspice" in code and shutil.which("ngspice") is None:
            continue
        try:
            exec(compile(code, full, "exec"), dict(shared))  # the repository's own text
        except Exception as error:  # noqa: BLE001 - all of them are listed below
            failed[full] = f"{type(error).__name__}: {str(error)[:200]}"
    assert len(failed) <= MOST_BROKEN, "\n".join(f"{n}: {said}" for n, said in failed.items())

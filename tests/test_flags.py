"""A yes or no is True or False: text such as "no", which would count as true, is refused."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import sensitivity as sens
from xbar.devices import Defect
from xbar.io import Dataset, load_map
from xbar.learn.training import train
from xbar.nn import Linear

ARRAY, V_IN = xb.Crossbar(np.full((3, 2), 1e-5)), np.ones(3)
NET = xb.Network.from_weights([np.eye(3)])
KEY = jax.random.key(0)

CASES = {
    "DAC.serial": lambda no: xb.DAC(4, serial=no),
    "Checkerboard.cells": lambda no: xb.Checkerboard(2, cells=no),
    "Defect.include_bias_row": lambda no: Defect(
        xb.Checkerboard(2), xb.StuckUnequal(), include_bias_row=no
    ),
    "include_bias_row": lambda no: NET.with_fault(
        0, xb.Checkerboard(2), xb.StuckUnequal(), KEY, include_bias_row=no
    ),
    "throw of solve": lambda no: xb.solve(ARRAY, V_IN, throw=no),
    "throw of transfer": lambda no: xb.transfer(ARRAY, throw=no),
    "throw of response": lambda no: sens.response(ARRAY, throw=no),
    "segments": lambda no: sens.gradients(NET, np.eye(3), [0, 1, 2], segments=no),
    "remember": lambda no: train(
        NET, np.eye(3), np.eye(3), lambda *_: jnp.zeros(()), key=KEY, steps=1, remember=no
    ),
    "use_bias": lambda no: Linear(3, 2, use_bias=no, key=KEY),
    "pairs": lambda no: load_map(Path("none.csv"), pairs=no),
    "Dataset regression": lambda no: Dataset.from_arrays(np.eye(2), [0, 1], regression=no),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("no", ["no", 0.5, None])
def test_what_is_neither_true_nor_false_is_named(name, no, no_shape_checks):
    words = name.partition(" of ")[0]
    with pytest.raises(TypeError, match=f"^{words}: got {no!r}, needs True or False"):
        CASES[name](no)


def test_a_boolean_of_numpy_is_one(no_shape_checks):
    yes: Any = np.bool_(True)
    assert xb.DAC(4, serial=yes).serial is True
    assert xb.DAC(4, serial=~yes).serial is False

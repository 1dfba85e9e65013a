"""`xbar demo`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xbar.cli.options import Out, Overwrite, Seed, failing


def _setting(text: str, **limits: Any) -> Any:
    return typer.Option(help=text, show_default=False, **limits)


OwnNetwork = Annotated[
    Path | None,
    _setting("Your trained network: .npz or .h5 with weights_0, biases_0, weights_1, ..."),
]
OwnData = Annotated[
    Path | None, _setting("Your data: .npz or .h5 with x (n, features) and y (n,) classes.")
]
Activation = Annotated[str | None, _setting("relu (default), tanh or sigmoid between the layers.")]
Seeds = Annotated[int | None, _setting("Repetitions; 8.")]
Layer = Annotated[int | None, _setting("Layer to break, 0 the first; the last.")]
Shape = Annotated[
    str | None, _setting("circle (default), ring, row, column, checkerboard or circle-complement.")
]
Coverage = Annotated[float | None, _setting("Fraction of the array that the shape covers; 0.35.")]
Fault = Annotated[str | None, _setting("pair (default), plus, minus, unequal or unequal-columns.")]
Stuck = Annotated[str | None, _setting("on (default), off, random, uniform or a resistance [ohm].")]
Window = Annotated[str | None, _setting("Conductance window of the devices; mnsim.")]
StuckWindow = Annotated[
    str | None, _setting("Window of stuck cells, such as chip-stuck; that of the devices.")
]
Mapping = Annotated[str | None, _setting("unipolar (default) or balanced.")]
WireOhm = Annotated[float | None, _setting("Resistance per wire segment [ohm]; 1.")]
Gain = Annotated[float | None, _setting("Amplifiers' open-loop gain; infinite.")]
Rail = Annotated[float | None, _setting("Amplifiers clip at +- this [V]; never.")]


def demo(
    out: Out,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    network: OwnNetwork = None,
    data: OwnData = None,
    activation: Activation = None,
    seeds: Seeds = None,
    layer: Layer = None,
    shape: Shape = None,
    coverage: Coverage = None,
    fault: Fault = None,
    stuck: Stuck = None,
    window: Window = None,
    stuck_window: StuckWindow = None,
    mapping: Mapping = None,
    wire_ohm: WireOhm = None,
    gain: Gain = None,
    rail: Rail = None,
) -> None:
    """Train a digit network, map it to arrays, break one, solve exactly, correct.

    Or bring your own network (then every seed breaks and corrects the same one) and your own data.
    """
    given = {
        "seeds": seeds,
        "activation": activation,
        "layer": layer,
        "shape": shape,
        "coverage": coverage,
        "fault": fault,
        "stuck": stuck,
        "window": window,
        "stuck_window": stuck_window,
        "mapping": mapping,
        "wire_ohm": wire_ohm,
        "gain": gain,
        "rail": rail,
    }
    # Imported here: --help should not wait for JAX.
    import jax
    from rich.console import Console

    from xbar.io.user import read_dataset, read_network
    from xbar.run.demo import DemoConfig
    from xbar.run.run_demo import run

    jax.config.update("jax_enable_x64", True)
    with failing(ValueError):
        config = DemoConfig(seed, **{name: v for name, v in given.items() if v is not None})
        model = None if network is None else read_network(network, activation)
        dataset = None if data is None else read_dataset(data)
    run(config, out, Console(), overwrite=overwrite, dataset=dataset, network=model)

"""`xbar demo`."""

from pathlib import Path
from typing import Annotated

from xbar.cli.options import Cache, Changes, Out, Overwrite, Seed, Text, file, setting, start

# Options that are settings of the demo's study under a shorter name.
KEYS = {
    "activation": "network.activation",
    "seeds": "seeds",
    "layer": "defects.layer",
    "shape": "defects.shape",
    "coverage": "defects.coverage",
    "fault": "defects.fault",
    "stuck": "defects.stuck",
    "window": "circuit.window",
    "stuck_window": "defects.stuck_window",
    "mapping": "circuit.mapping",
    "wire_ohm": "circuit.wire_ohm",
    "gain": "circuit.gain",
    "rail": "circuit.rail",
    "device": "circuit.device",
    "seconds": "circuit.seconds",
    "dac_bits": "circuit.dac_bits",
    "adc_bits": "circuit.adc_bits",
    "map_unit": "defects.map_unit",
}


def demo(
    out: Out,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    network: Annotated[
        Path | None,
        file("Your trained network: .npz or .h5 with weights_0, biases_0, weights_1, ..."),
    ] = None,
    data: Annotated[
        Path | None, file("Your data: .npz or .h5 with x (n, features) and y (n,) classes.")
    ] = None,
    activation: Annotated[Text, setting("relu (default), tanh or sigmoid.")] = None,
    seeds: Annotated[Text, setting("Repetitions (default 8).")] = None,
    layer: Annotated[Text, setting("Layer to break, 0 the first (default the last).")] = None,
    shape: Annotated[Text, setting("circle (default), ring, row, column, ...")] = None,
    coverage: Annotated[Text, setting("Share of the array that it covers (default 0.35).")] = None,
    fault: Annotated[Text, setting("pair (default), plus, minus, unequal, ...")] = None,
    stuck: Annotated[Text, setting("on (default), off, random, uniform or ohm.")] = None,
    window: Annotated[Text, setting("Devices: mnsim (default), ..., or 10k:1M [ohm].")] = None,
    stuck_window: Annotated[Text, setting("Window of stuck cells (default the devices').")] = None,
    mapping: Annotated[Text, setting("unipolar (default) or balanced.")] = None,
    wire_ohm: Annotated[Text, setting("Resistance per wire segment [ohm] (default 1).")] = None,
    gain: Annotated[Text, setting("Amplifiers' open-loop gain (default infinite).")] = None,
    rail: Annotated[Text, setting("Amplifiers clip at +- this [V] (default never).")] = None,
    chip: Annotated[
        Path | None,
        file("A measured chip in the layer, instead of a shape: .csv, .npy, .npz or .h5.", "--map"),
    ] = None,
    map_unit: Annotated[Text, setting("Of the map, where it does not say: ohm, uS, ...")] = None,
    device: Annotated[Text, setting("exact (default), a preset, or programming=0.05, ...")] = None,
    seconds: Annotated[Text, setting("Since the chips were programmed [s] (default 1).")] = None,
    dac_bits: Annotated[Text, setting("Bits of converters at the rows (default none).")] = None,
    adc_bits: Annotated[Text, setting("Bits of converters at the columns (default none).")] = None,
    changes: Changes = None,
    cache: Cache = True,
) -> None:
    """Train a digit network, map it to arrays, break one, solve exactly, correct.

    Or bring your own network (then every seed breaks and corrects the same one) and your own data.
    `xbar presets` lists windows, shapes and faults with their values; --set reaches all settings.

    \b
    xbar demo --out runs/demo
    xbar demo --out runs/mine --network net.npz --data set.npz --window 10k:1M
    xbar demo --out runs/chip --map chip.csv --layer 3
    """  # noqa: D301 - what click asks for where lines are to stay
    options = locals()
    given = {KEYS[n]: v for n, v in options.items() if n in KEYS and v is not None}
    # Imported here: --help should not wait for JAX.
    from xbar.run.demo import demo_study, run_demo
    from xbar.run.settings.files import quoted

    given |= {"seed": str(seed)}
    if device is not None:
        given["circuit.device"] = quoted(device)
        given.setdefault("circuit.window", "device")
    if chip is not None:
        given = {"defects.shape": "", "defects.coverage": "", **given}
    files = {"network.file": network, "data.file": data, "defects.map": chip}
    given |= {key: quoted(str(found)) for key, found in files.items() if found is not None}
    study = demo_study([*(f"{key}={value}" for key, value in given.items()), *(changes or ())])
    run_demo(study, out, start(cache), overwrite=overwrite)

"""All that a layer's circuit is, in one object."""

from collections.abc import Callable
from typing import Any, Literal, final, get_args

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from xbar.cells.families import as_module
from xbar.checks import check_kind, check_word, checked, finite_above_0, is_concrete
from xbar.circuit import Wires
from xbar.devices.device import Device
from xbar.devices.mapping import Window, check_mapping
from xbar.fields import extent
from xbar.nn.array import Secant
from xbar.nn.converters import ADC, DAC
from xbar.nn.readout import Readout
from xbar.nn.slices import ShiftAdd, Slices

PartialSums = Literal["digital", "analog"]


@final
class Hardware(eqx.Module):
    """Devices, wires, mapping and readout of a layer; the defaults are the ideal circuit.

    ```python
    hardware = xb.Hardware(wires=xb.Wires(1.0, 1.0), adc=xb.ADC(8), open_loop_gain=1e4)
    print(hardware)
    net = xb.Network.from_weights(weights, biases, calibration=x, hardware=hardware)
    ```

    Args:
        window: of the devices; None takes the device's, or `Window.preset()`, 10k/1M.
        wires: of an array [ohm]; None for no resistance.
        mapping: "unipolar" or "balanced", as in `map_weights`.
        scale: "layer" or "column", as in `map_weights`.
        tile: (rows, cols) of cells of one array; None for arrays as large as they need to be.
        partial_sums: of several arrays, "digital" (behind their converters) or "analog".
        cells: from conductances [S] to the law that the cells obey: `xb.cells.SinhCells(0.25)` or
            another of those, or a function, as ``lambda g: xb.cells.Sinh(g, v_0=0.25)``; mapped
            are the secant conductances at v_read, and gains are fitted to the array without wires
            on the calibration inputs. None takes the device's law, or ohmic cells.
        device: of `xbar.devices`, which `xbar.nn.program` then programs; None for cells that have
            and keep exactly what is asked.
        dac: at the rows; None for exact voltages.
        adc: behind the rails; None for none.
        open_loop_gain: of the amplifiers, (); infinite is ideal.
        v_min: lower rail of the amplifiers, () [V]; None for none.
        v_max: upper rail, () [V]; None for none.
        v_read: full-scale voltage, () [V].
        v_bias: voltage of the bias rows, () [V]; None takes v_read.
        clip: as in `map_weights`; None for no clipping.
        slices: (bits, bits of one cell), such as (8, 2): each weight on several pairs side by side,
            read one by one and added in digital logic (`xbar.nn.slices`); None for one pair of any
            conductance. Of ohmic cells.

    Raises:
        TypeError: something of another kind.
        ValueError: an unknown word, or a concrete number that is not finite or out of range.
    """

    window: Window
    wires: Wires
    mapping: str = eqx.field(static=True)
    scale: str = eqx.field(static=True)
    tile: tuple[int, int] | None = eqx.field(static=True)
    partial_sums: str = eqx.field(static=True)
    cells: Callable[[Any], Any] | None
    device: Device | None
    dac: DAC | None
    adc: ADC | None
    open_loop_gain: Float[Array, ""]
    v_min: Float[Array, ""]
    v_max: Float[Array, ""]
    v_read: Float[Array, ""]
    v_bias: Float[Array, ""]
    clip: float | None = eqx.field(static=True)
    slices: Slices | None = eqx.field(static=True)

    def __init__(
        self,
        window: Window | None = None,
        wires: Wires | None = None,
        mapping: str = "unipolar",
        scale: str = "layer",
        tile: tuple[int, int] | None = None,
        partial_sums: str = "digital",
        cells: Callable[[Any], Any] | None = None,
        device: Device | None = None,
        dac: DAC | None = None,
        adc: ADC | None = None,
        open_loop_gain: Any = np.inf,
        v_min: Any = None,
        v_max: Any = None,
        v_read: Any = 0.2,
        v_bias: Any = None,
        clip: float | None = None,
        slices: tuple[int, int] | None = None,
    ):
        check_mapping(mapping, scale, clip)
        check_word("partial_sums", partial_sums, list(get_args(PartialSums)))
        self.device = None if device is None else of_kind("device", device, Device)
        known = None if device is None else device.window
        self.window = of_kind("window", known if window is None else window, Window, Window.preset)
        self.wires = of_kind("wires", wires, Wires, Wires)
        self.mapping, self.scale, self.clip = mapping, scale, clip
        self.tile, self.partial_sums = _tile(tile), partial_sums
        self.cells = as_module(cells)
        self.dac = None if dac is None else of_kind("dac", dac, DAC)
        self.adc = None if adc is None else of_kind("adc", adc, ADC)
        readout = Readout(1.0, open_loop_gain, v_min, v_max)
        self.open_loop_gain = readout.open_loop_gain
        self.v_min, self.v_max = readout.v_min, readout.v_max
        needs = "a finite value > 0 [V]"
        self.v_read = checked("v_read", v_read, needs, finite_above_0, 0)
        needs = "a finite value != 0 [V]"
        bias = v_read if v_bias is None else v_bias
        self.v_bias = checked("v_bias", bias, needs, lambda v: np.isfinite(v) & (v != 0), 0)

        self.slices = None if slices is None else Slices.of(slices)
        if self.slices is not None and self.law() is not None:
            raise ValueError("slices: got some beside cells with a law, needs ohmic cells")

    def law(self) -> Callable[[Any], Any] | None:
        """From conductances to cells, as a module; None for ohmic ones."""
        if self.cells is not None:
            return Secant(self.cells, self.v_read)
        device = self.device
        return None if device is None or device.law is None else device.cells

    def readout(self, r_f: Any) -> Readout:
        """The chain behind an array with these feedback resistances [ohm]."""
        found = Readout(r_f, self.open_loop_gain, self.v_min, self.v_max, self.adc)
        return found if self.slices is None else found.then(ShiftAdd(self.slices.weights))

    def columns(self, rows: Any) -> Any:
        """Weights with their bias row as those of the array's pairs, sliced if they are."""
        if self.slices is None:
            return rows
        return self.slices.cut(rows, self.scale, self.clip)

    def calibrated(self, v_rows: Any, v_tia: Any) -> "Hardware":
        """With ranges for converters that have none, from row and amplifier voltages [V]."""
        dac = None if self.dac is None else self.dac.calibrated(v_rows)
        adc = None if self.adc is None else self.adc.calibrated(v_tia)
        where = lambda hardware: (hardware.dac, hardware.adc)  # noqa: E731
        return eqx.tree_at(where, self, (dac, adc), is_leaf=lambda x: x is None)

    def _sliced(self) -> str:
        if self.slices is None:
            return ""
        return f", {self.slices.per_weight} slices of {self.slices.per_cell} bits"

    def driven(self, v_rows: Any) -> Any:
        """Row voltages that such inputs (n, inputs) cause, of every cycle if bit-serial [V]."""
        if self.dac is None or not self.dac.serial:
            return v_rows
        each = self.dac.calibrated(v_rows).cycles(v_rows)
        each = each.reshape(-1, each.shape[-1])
        return np.asarray(each) if isinstance(v_rows, np.ndarray) else each

    def __repr__(self) -> str:
        if not is_concrete(self) or np.ndim(self.v_read):
            return eqx.tree_pformat(self)
        ohm = [f"{name} {extent(r)}" for name, r in self.wires.leaves.items()]
        gain, v_min, v_max = (float(x) for x in (self.open_loop_gain, self.v_min, self.v_max))
        clipped = "" if self.clip is None else f", clipped at the {self.clip:g} quantile"
        rows = {
            "window": repr(self.window)[len("Window(") : -1],
            "wires [ohm]": ", ".join(ohm),
            "mapping": f"{self.mapping}, one scale per {self.scale}{clipped}{self._sliced()}",
            "arrays": "as large as the layer"
            if self.tile is None
            else f"{self.tile[0]} x {self.tile[1]} cells, {self.partial_sums} partial sums",
            "cells": "ohmic" if self.law() is None else _name_of(self.cells),
            "device": "exact" if self.device is None else self.device.about.name,
            "DAC": _bits_of(self.dac),
            "amplifiers": f"open-loop gain {gain:g}, rails {v_min:g} to {v_max:g} V",
            "ADC": "none" if self.adc is None else f"{self.adc.bits} bits",
            "voltages": f"read {float(self.v_read):g} V, bias {float(self.v_bias):g} V",
        }
        return "Hardware\n" + "\n".join(f"  {name:<12} {text}" for name, text in rows.items())


def of_kind(name: str, value: Any, kind: type, default: Callable[[], Any] | None = None) -> Any:
    """The value, or the default for None, if it is of the kind.

    Raises:
        TypeError: it is not.
    """
    value = default() if value is None and default is not None else value
    check_kind(name, value, kind, f"a {kind.__name__}")
    return value


def _bits_of(dac: DAC | None) -> str:
    return "none" if dac is None else f"{dac.bits} bits{', bit-serial' if dac.serial else ''}"


def _name_of(cells: Any) -> str:
    return "own law" if cells is None else getattr(cells, "name", type(cells).__name__)


def _tile(tile: Any) -> tuple[int, int] | None:
    if tile is None:
        return None
    sizes = np.asarray(tile)
    whole = sizes.shape == (2,) and sizes.dtype.kind in "iuf" and (sizes >= 1).all()
    if not whole or (sizes % (1, 2)).any():
        raise ValueError(f"tile: got {tile}, needs (rows, cols) of cells, an even number of cols")
    return int(sizes[0]), int(sizes[1])

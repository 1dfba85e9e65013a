"""The Stanford ReRAM model with the defaults that its copies share: an I-V law alone."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from xbar.devices.device import About, Device
from xbar.devices.law import CellLaw, Conductances
from xbar.devices.mapping import Window

I_0, G_0, V_0 = 1e-3, 0.25e-9, 0.25  # [A], [m], [V]
GAPS = 0.2e-9, 1.7e-9  # least and largest tunnelling gap [m]
V_READ = 0.1  # at which a conductance is I / V [V]


def stanford_asu() -> Device:
    """ReRAM of the Stanford model, I = I_0 exp(-gap / g_0) sinh(u / V_0).

    A cell's state is its gap; its conductance is I / u at 0.1 V: 541.821 ohm at 0.2 nm, 218,586 ohm
    at 1.7 nm.

    Returns:
        The device.
    """
    low, high = (_at_read(gap) / V_READ for gap in reversed(GAPS))
    text = (
        "I = I_0 exp(-gap / g_0) sinh(u / V_0), I_0 1 mA, g_0 0.25 nm, V_0 0.25 V, gap 0.2 to "
        "1.7 nm; g is I / u at 0.1 V"
    )
    about = About(
        name="stanford_asu",
        what="ReRAM, Stanford model: its current-voltage law, no variability",
        source="defaults of the Stanford/ASU model as in MemTorch 1.1.6 and Verilog-A copies",
        g_range=(low, high),
    )
    return Device((), Window(low, high), CellLaw(_cells, text, (low, high)), about)


def _at_read(gap: float) -> float:
    """The current at the voltage of a read [A]."""
    return float(I_0 * np.exp(-gap / G_0) * np.sinh(V_READ / V_0))


def _cells(g: Conductances, of: Conductances) -> Any:
    from xbar.cells import Stanford

    gap = G_0 * jnp.log(_at_read(0.0) / (g * V_READ))
    return Stanford(gap, i_0=I_0, g_0=G_0, v_0=V_0)

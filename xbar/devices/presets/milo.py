"""HfO2 ReRAM of Milo et al.: multilevel programming, and a measured I-V law."""

from typing import Any

import jax.numpy as jnp

from xbar.devices.device import About, Device
from xbar.devices.effects import ProgrammingError
from xbar.devices.fits import PolynomialFit
from xbar.devices.law import CellLaw, Conductances
from xbar.devices.mapping import Window

SIGMA = (-0.009107e-6, 4.782321e-6)  # of x = g / 1 uS [S]
SECOND = (1.388e-4, 1.541e-3, 5.711e-3, 7.063e-3)  # of log10 g, g in S [A/V^2]
THIRD = (8.8710e-5, 6.7919e-4, 1.2968e-3)  # of log10 g [A/V^3]


def milo() -> Device:
    """HfO2 ReRAM, programmed by IGVVA-100; sigma 3.8716 uS at 100 uS.

    Its I-V law I = g u + a(g) u^2 + b(g) u^3 is not odd: a is -23.84 uA/V^2 and b 9.320 uA/V^3 at
    62.5 uS.

    Returns:
        The device.
    """
    text = (
        "I = g u + a u^2 + b u^3, a and b polynomials in log10 g, |u| <= 0.5 V; g is the "
        "conductance at 0 V"
    )
    about = About(
        name="milo",
        what="HfO2 ReRAM with multilevel programming (IGVVA-100)",
        source=(
            "V. Milo et al., IRPS 2021, Figs. 1 and 4, in CrossSim 3.2's fits (RRAMMilo): a line "
            "for sigma, cubics for the I-V curves of four states"
        ),
        g_range=(50e-6, 225e-6),
        notes=(
            "the I-V law is extrapolated below 62.5 uS, where it bends too much to be believed, "
            "and above 110 uS; both are refused",
        ),
    )
    law = CellLaw(_cells, text, (62.5e-6, 110e-6))
    return Device([ProgrammingError(PolynomialFit(SIGMA, 1e-6))], Window(50e-6, 225e-6), law, about)


def _cells(g: Conductances, of: Conductances) -> Any:
    from xbar.cells import Polynomial

    log10 = jnp.log10(of)
    second, third = (jnp.polyval(jnp.asarray(c, g.dtype), log10) for c in (SECOND, THIRD))
    return Polynomial(jnp.stack([g, second, third]))

"""CMO/HfOx ReRAM (Falcone et al.): programming by acceptance, relaxation, 1/f noise."""

import math
from typing import Any

from xbar.devices.device import About, Device
from xbar.devices.effects import FlickerNoise, ProgrammingError, Relaxation
from xbar.devices.fits import LogFit, PolynomialFit
from xbar.devices.mapping import Window

SIGMAS = {  # of x = g / 1 uS [S], by accepted error as a fraction of the target
    0.002: (0.00106879e-6, 0.00081107e-6),
    0.02: (0.01129027418e-6, 0.0112185391e-6),
}
MEAN = (-0.08900206e-6, 0.0)  # of ln(t / 1 s) [S]
SPREAD = (0.04201137e-6, 0.41183342e-6)  # of ln(t / 1 s) [S]
K = 0.0277316483e-6  # of log10(g / 1 uS) [S]


def cmo_hfox(acceptance: Any = 0.02) -> Device:
    """CMO/HfOx ReRAM; at 50 uS sigma 0.576 uS as programmed, -0.73 +- 0.76 uS after an hour.

    Args:
        acceptance: error at which programming stopped, as a fraction of the target: 0.02 (the
            default, 2 %) or 0.002 (0.2 %).

    Returns:
        The device.

    Raises:
        ValueError: another acceptance.
    """
    if acceptance not in SIGMAS:
        raise ValueError(
            f"acceptance: got {acceptance!r}, needs 0.02 or 0.002, a fraction of the target "
            "(2 % or 0.2 %)"
        )
    low, high = 9e-6, 88.2e-6
    about = About(
        name="cmo_hfox",
        what="ReRAM of conductive metal oxide on HfOx, programmed and verified",
        source=(
            "D. F. Falcone et al., arXiv 2502.04524 (2025), in aihwkit 1.1's fits "
            "(ReRamCMONoiseModel)"
        ),
        g_range=(low, high),
        notes=(
            f"acceptance {100 * acceptance:g} % of the target (default 2 %; 0.2 % by acceptance="
            "0.002)",
            "relaxation is fitted from 1 s on and does not depend on the target",
            "aihwkit holds conductances within the targets' range; here at 0 alone",
        ),
    )
    read = LogFit(K / math.log(10), 0.0, g_ref=1e-6, low=0.0)
    effects = [
        ProgrammingError(PolynomialFit(SIGMAS[acceptance], 1e-6)),
        Relaxation(MEAN, SPREAD),
        FlickerNoise(read, t_read=1e-6),
    ]
    return Device(effects, Window(low, high), about=about)

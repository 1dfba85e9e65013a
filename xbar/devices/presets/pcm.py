"""Phase-change memory (Joshi et al. 2020): programming, drift, 1/f noise."""

from xbar.devices.device import About, Device
from xbar.devices.effects import Drift, FlickerNoise, ProgrammingError
from xbar.devices.fits import LogFit, PolynomialFit, PowerFit
from xbar.devices.mapping import Window

G_MAX = 25e-6
SIGMA = (-1.1731e-6, 1.9650e-6, 0.26348e-6)  # of x = g / 25 uS [S]


def pcm() -> Device:
    """Phase-change memory; at 12.5 uS sigma 0.952705 uS as programmed and nu 0.049.

    Returns:
        The device.
    """
    about = About(
        name="pcm",
        what="phase-change memory (no ReRAM: the device whose drift is measured best)",
        source=(
            "V. Joshi et al., Nature Communications 11, 2473 (2020) and S. R. Nandakumar et al., "
            "ICECS 2019, in aihwkit 1.1's fits (PCMLikeNoiseModel)"
        ),
        g_range=(0.0, G_MAX),
        notes=(
            "read 20 s after programming: up to then as programmed",
            "a negative exponent counts as 0 (aihwkit: as its size)",
            "drift and 1/f noise are functions of the target where it is given, else of the "
            "conductance itself",
        ),
    )
    effects = [
        ProgrammingError(PolynomialFit(SIGMA, G_MAX)),
        Drift(
            nu=LogFit(-0.0155, 0.0244, G_MAX, 0.049, 0.1),
            spread=LogFit(-0.0125, -0.0059, G_MAX, 0.008, 0.045),
            t0=20.0,
        ),
        FlickerNoise(fraction=PowerFit(0.0088, -0.65, G_MAX, 0.2), t_read=250e-9),
    ]
    return Device(effects, Window(0.0, G_MAX), about=about)

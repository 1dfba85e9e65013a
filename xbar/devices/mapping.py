"""Weights <-> differential pairs of conductances.

A weight is the difference of two cells, `w = (g_plus - g_minus) / s`. The cells of column j of the
weight matrix sit side by side on two physical bit lines:

    weight column        0         1         2
    physical column    0   1     2   3     4   5
                       +   -     +   -     +   -
"""

from typing import Any, Literal, final, get_args

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from xbar.checks import (
    check_word,
    checked,
    finite_above_0,
    finite_from_0,
    is_concrete,
    namespace,
    on_device,
    warn_of_ohms,
)
from xbar.fields import described

Scheme = Literal["unipolar", "balanced"]
Scale = Literal["layer", "column"]

WINDOWS: dict[str, tuple[float, float]] = {
    # As gathered in the study's list of open options.
    "mnsim": (10e3, 1e6),  # MNSIM's device, this package's default
    "stanford": (542.0, 218.6e3),  # the Stanford model's defaults at 0.1 V, as MemTorch uses it
    "25k-200k": (25e3, 200e3),
    "neurosim": (6e3, 900e3),  # NeuroSim
    "3.3k-1M": (3.3e3, 1e6),
    # A measured chip: programmed between 133 and 233 uS, its stuck cells at about 10 and 500 uS.
    "chip": (1 / 233e-6, 1 / 133e-6),
    "chip-stuck": (1 / 500e-6, 1 / 10e-6),
}
"""Published windows by name, (r_on, r_off) [ohm]; see `Window.preset`."""


@final
class Window(eqx.Module):
    """The conductances that a device can be programmed to, g_min <= g <= g_max.

    `Window.from_resistances` and `Window.preset` make one from resistances and by name. Both
    numbers may be traced and batched; concrete ones are checked.

    ```python
    window = xb.Window.from_resistances(r_on=10e3, r_off=1e6)
    ```

    Args:
        g_min: conductance of the off state, () [S]; 0 is allowed.
        g_max: conductance of the on state, () [S]; above g_min.

    Raises:
        ValueError: a concrete value is negative, not finite, or g_max is not above g_min.
    """

    g_min: Float[Array, ""] = eqx.field(metadata=described("S", (), "off state of the devices"))
    g_max: Float[Array, ""] = eqx.field(metadata=described("S", (), "on state of the devices"))

    def __init__(self, g_min: Any, g_max: Any):
        self.g_min = checked("Window.g_min", g_min, "a finite value >= 0 [S]", finite_from_0, 0)
        self.g_max = checked("Window.g_max", g_max, "a finite value > 0 [S]", finite_above_0, 0)
        if is_concrete(g_min, g_max) and not np.asarray(g_max) > np.asarray(g_min):
            raise ValueError(f"Window.g_max: got {g_max}, needs more than g_min, {g_min} [S]")
        warn_of_ohms("Window.g_max", g_max, "Window.from_resistances(r_on, r_off)")

    def __repr__(self) -> str:
        if not is_concrete(self) or self.g_min.ndim:
            return eqx.tree_pformat(self)
        low, high = float(self.g_min), float(self.g_max)
        ohm = [f"{1 / g:.6g}" if g > 0 else "inf" for g in (high, low)]
        return f"Window({1e6 * low:.6g} to {1e6 * high:.6g} uS, {ohm[0]} to {ohm[1]} ohm)"

    @staticmethod
    def from_resistances(r_on: Any, r_off: Any) -> "Window":
        """The window between two resistances: g_max = 1 / r_on, g_min = 1 / r_off.

        Args:
            r_on: the low resistance, () [ohm].
            r_off: the high resistance, () [ohm]; infinite for cells that can be opened.

        Returns:
            The window.

        Raises:
            ValueError: a concrete r_on is not above 0 and finite, or r_off is not above r_on.
        """
        r_on_ = checked("r_on", r_on, "a finite value > 0 [ohm]", finite_above_0, 0)
        r_off_ = checked("r_off", r_off, "a value > 0 [ohm]", lambda r: r > 0, 0)
        if not is_concrete(r_on, r_off):
            return Window(1 / r_off_, 1 / r_on_)
        if not np.asarray(r_off) > np.asarray(r_on):
            raise ValueError(f"r_off: got {r_off}, needs more than r_on, {r_on} [ohm]")
        return Window(*(_inverse(r) for r in (r_off_, r_on_)))

    @staticmethod
    def preset(name: str = "mnsim") -> "Window":
        """A published window.

        | name | r_on | r_off | source |
        |---|---|---|---|
        | mnsim (default) | 10 kohm | 1 Mohm | MNSIM |
        | stanford | 542 ohm | 218.6 kohm | Stanford model at 0.1 V, as in MemTorch |
        | 25k-200k | 25 kohm | 200 kohm | a range gathered from publications |
        | neurosim | 6 kohm | 900 kohm | NeuroSim |
        | 3.3k-1M | 3.3 kohm | 1 Mohm | a range gathered from publications |
        | chip | 4.29 kohm | 7.52 kohm | a measured chip, 133 to 233 uS |
        | chip-stuck | 2 kohm | 100 kohm | the same chip's stuck cells, about 500 and 10 uS |

        "chip-stuck" is not for weights: give it to a fault as the window of its stuck values.

        Args:
            name: a key of `WINDOWS`.

        Returns:
            The window.

        Raises:
            ValueError: no preset has that name.
        """
        check_word("preset", name, sorted(WINDOWS))
        return Window.from_resistances(*WINDOWS[name])


@final
class Pairs(eqx.Module):
    """The differential pairs of one array; a weight is proportional to g_plus - g_minus.

    ```python
    pairs = xb.Pairs(g_plus=np.full((5, 3), 1e-4), g_minus=np.full((5, 3), 1e-6))  # siemens
    ```

    Args:
        g_plus: conductances of the plus cells, (rows, cols) [S].
        g_minus: conductances of the minus cells, (rows, cols) [S].

    Raises:
        ValueError: the two are not of one shape with two axes, or a concrete value is negative or
            not finite.
    """

    g_plus: Float[Array, "rows cols"] = eqx.field(
        metadata=described("S", ("row", "pair"), "plus cells; the bias row is the last")
    )
    g_minus: Float[Array, "rows cols"] = eqx.field(
        metadata=described("S", ("row", "pair"), "minus cells; the bias row is the last")
    )

    def __init__(self, g_plus: Any, g_minus: Any):
        needs = "finite values >= 0 [S]"
        self.g_plus = checked("Pairs.g_plus", g_plus, needs, finite_from_0, 2)
        self.g_minus = checked("Pairs.g_minus", g_minus, needs, finite_from_0, 2)
        if self.g_plus.shape != self.g_minus.shape:
            raise ValueError(
                f"Pairs.g_minus: got shape {self.g_minus.shape}, needs that of g_plus, "
                f"{self.g_plus.shape}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the weight matrix, which is (rows, 2 * cols) cells."""
        rows, cols = self.g_plus.shape[-2:]
        return rows, cols

    def interleave(self) -> Float[Array, "rows two_cols"]:
        """The array as it is built, columns (+, -, +, -).

        Returns:
            Conductances, (rows, 2 * cols) [S].
        """
        (rows, cols), xp = self.shape, namespace(self)
        g = xp.stack([self.g_plus, self.g_minus], axis=-1).reshape(rows, 2 * cols)
        return on_device(g) if xp is np else g

    @staticmethod
    def from_interleaved(g: Any) -> "Pairs":
        """The pairs of a physical array with columns (+, -, +, -).

        Args:
            g: conductances, (rows, 2 * cols) [S].

        Returns:
            The pairs, (rows, cols).

        Raises:
            ValueError: g has not two axes, or an odd number of columns, or bad concrete values.
        """
        g_ = checked("g", g, "finite values >= 0 [S]", finite_from_0, 2)
        if g_.shape[1] % 2:
            raise ValueError(
                f"g: got {g_.shape[1]} columns, needs an even number, + and - of a pair"
            )
        g_ = namespace(g).asarray(g_)
        return Pairs(g_[:, 0::2], g_[:, 1::2])


def map_weights(
    w: Any,
    window: Window,
    scheme: str = "unipolar",
    *,
    scale: str = "layer",
    clip: float | None = None,
) -> tuple[Pairs, Float[Array, "..."]]:
    """Map weights to differential pairs, the largest |w| at the edge of the window.

    Unipolar: g_plus = g_min + s max(w, 0), g_minus = g_min + s max(-w, 0); a zero weight leaves
    both cells at g_min. Balanced: g = (g_min + g_max) / 2 +- s w / 2; both cells at mid-window.
    In both s = (g_max - g_min) / max|w|, and g_plus - g_minus = s w.

    One weight far larger than the others leaves them a small part of the window. Two cures: a scale
    for each column, which an outlier in another column does not touch (each column's amplifiers
    then have their own gain); or clipped weights.

    ```python
    pairs, s = xb.map_weights(w, xb.Window.preset(), scale="column", clip=0.999)
    ```

    Args:
        w: weights with the scaled bias row as their last row, (rows, cols).
        window: where the conductances have to lie.
        scheme: "unipolar" or "balanced".
        scale: "layer" (one s, from the largest |w|) or "column" (one s for each column, from the
            largest |w| in it).
        clip: None, or a share above 0 and at most 1: weights beyond that quantile of |w| (of all
            weights or of each column's, as `scale` says) are held at it. Clipped weights are
            wrong, all others have more of the window.

    Returns:
        The pairs, (rows, cols), in the dtype of w, and s [S per unit of weight], () or, by column,
        (cols,). If all weights are 0, max|w| is taken as 1, so that s stays finite.

    Raises:
        ValueError: the scheme or scale is unknown, clip is out of range, w has not two axes, or a
            concrete weight is not finite.
    """
    check_mapping(scheme, scale, clip)
    w_ = checked("w", w, "finite weights", np.isfinite, 2)
    xp = namespace(w, window)
    w_ = xp.asarray(w_)
    g_min, g_max = (xp.asarray(g).astype(w_.dtype) for g in (window.g_min, window.g_max))
    axis = 0 if scale == "column" else None
    size = xp.abs(w_)
    # The two-argument quantile is float64 in NumPy, whatever the weights are.
    w_max = size.max(axis) if clip is None else xp.quantile(size, clip, axis=axis)
    w_max = xp.where(w_max > 0, w_max, 1).astype(w_.dtype)
    w_ = w_ if clip is None else xp.clip(w_, -w_max, w_max)
    s = (g_max - g_min) / w_max
    if scheme == "balanced":
        # g_mid + s w / 2 written from g_min up, so that rounding cannot put a cell below it.
        cells = g_min + s * (w_max + w_) / 2, g_min + s * (w_max - w_) / 2
    else:
        cells = g_min + s * xp.maximum(w_, 0), g_min + s * xp.maximum(-w_, 0)
    return Pairs(*cells), on_device(s) if xp is np else s


def check_mapping(scheme: str, scale: str, clip: float | None) -> None:
    """Raise for a way to map weights that `map_weights` does not know."""
    check_word("mapping", scheme, list(get_args(Scheme)))
    check_word("scale", scale, list(get_args(Scale)))
    if clip is not None and not 0 < clip <= 1:
        raise ValueError(f"clip: got {clip}, needs a share above 0 and at most 1, or None")


def share_of_window(w: Any, s: Any, window: Window) -> float:
    """Share of the window that the median weight uses, s |w| / (g_max - g_min) over weights not 0.

    Args:
        w: known weights, (rows, cols).
        s: their scale, () or (cols,) [S per unit of weight].
        window: that they are mapped to.

    Returns:
        0 to 1; 1 where all weights are 0.
    """
    used = np.abs(np.asarray(w, float)) * np.asarray(s, float)
    used = used[used > 0] / (float(window.g_max) - float(window.g_min))
    return float(np.median(used)) if used.size else 1.0


def _inverse(r: Array) -> Any:
    """1 / r of a known resistance, 0 for an infinite one; what is weakly typed stays so."""
    return 1 / (float(r) if r.weak_type else np.asarray(r))

"""What stands behind an array's bit lines: a chain of steps from column currents to voltages.

i_out -- amplifier per column -- difference of each pair -- rails (-- ADC) -- v
"""

from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, finite_from_0, is_concrete
from xbar.fields import described
from xbar.nn.steps import (
    AbstractAmplifier,
    AbstractSpiceStep,
    AbstractStep,
    Number,
    Signal,
    noisy,
    optional,
)


@final
class Transimpedance(AbstractAmplifier, AbstractSpiceStep):
    """One transimpedance amplifier per bit line.

    v = R_f i / (1 + 1/A) + offset + noise: each amplifier's input is not quite at 0 V but behind
    R_f / (1 + A), which adds to the array's sense resistance.

    Args:
        r_f: feedback resistance, () or one for each pair of columns, (outputs,) [ohm].
        open_loop_gain: A, (); infinite is ideal.
        offset: at the output, () or one for each column, (2 * outputs,) [V]; None for none.
        noise: RMS at the output, drawn anew for each read and input, () or (2 * outputs,) [V];
            None for none.

    Raises:
        ValueError: a concrete r_f or gain is not above 0, or an offset or noise is not finite.
    """

    r_f: Float[Array, "..."] = eqx.field(
        metadata=described("ohm", ("output",), "feedback of the amplifiers")
    )
    open_loop_gain: Float[Array, ""] = eqx.field(
        metadata=described("1", (), "of the amplifiers; infinite is ideal")
    )
    offset: Float[Array, "..."] | None = eqx.field(
        metadata=described("V", ("column",), "at the amplifiers' outputs")
    )
    noise: Float[Array, "..."] | None = eqx.field(
        metadata=described("V", ("column",), "RMS at the amplifiers' outputs")
    )

    def __init__(
        self, r_f: Any, open_loop_gain: Any = np.inf, offset: Any = None, noise: Any = None
    ):
        self.r_f = checked("Readout.r_f", r_f, "a finite value > 0 [ohm]", finite_above_0)
        self.open_loop_gain = checked(
            "Readout.open_loop_gain", open_loop_gain, "a value > 0", lambda a: a > 0, 0
        )
        self.offset = optional("Transimpedance.offset", offset, "finite values [V]", np.isfinite)
        self.noise = optional("Transimpedance.noise", noise, "values >= 0 [V]", finite_from_0)

    @property
    def r_in(self) -> Float[Array, "..."]:
        """R_f / (1 + A) [ohm]."""
        return self._per_column(self.r_f / (1 + self.open_loop_gain))

    @property
    def gain(self) -> Float[Array, "..."]:
        """Volts per ampere, R_f / (1 + 1/A), () or (outputs,) [ohm]."""
        return self.r_f / (1 + 1 / self.open_loop_gain)

    @property
    def linear(self) -> bool:
        """Without offset and noise."""
        return self.offset is None and self.noise is None

    def volts(
        self, x: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n columns"]:
        """Amplifier voltages of column currents."""
        v = self._per_column(self.gain).astype(x.dtype) * x
        v = v if self.offset is None else v + self.offset.astype(x.dtype)
        return noisy(v, self.noise, key)

    @property
    def acts(self) -> bool:
        """Always."""
        return True

    def remark(self, number: Number) -> str:
        """R_f and the open-loop gain."""
        r_f = " ".join(number(r) for r in np.unique(np.asarray(self.r_f)))
        return f"R_f = {r_f} ohm, open-loop gain {float(self.open_loop_gain):g}"

    def netlist(
        self, tag: str, signals: list[Signal], nodes: list[str], number: Number
    ) -> tuple[list[str], list[Signal]]:
        """A virtual ground and an ammeter; with a finite gain, an amplifier with its feedback."""
        if not self.linear:
            raise ValueError("readout: got an amplifier with offset or noise, which has no netlist")
        gain, lines, out = float(self.open_loop_gain), [], []
        each = np.broadcast_to(np.asarray(self._per_column(self.r_f)), (len(signals),))
        for j, (end, r) in enumerate(zip(signals, each, strict=True)):
            if np.isinf(gain):
                lines.append(f"Vout_{tag}{j} {end.node} 0 0")
                out.append(Signal(f"Vout_{tag}{j}", r=number(r)))
                continue
            lines += [
                f"Vout_{tag}{j} {end.node} {tag}inv_{j} 0",
                f"Rf_{tag}{j} {tag}inv_{j} {tag}amp_{j} {number(r)}",
                f"Eamp_{tag}{j} {tag}amp_{j} 0 0 {tag}inv_{j} {number(gain)}",
            ]
            out.append(Signal(f"{tag}amp_{j}", inverted=True))
        return lines, out

    def _per_column(self, each: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.repeat(each, 2, axis=-1) if self.r_f.ndim else each


@final
class Difference(AbstractStep, AbstractSpiceStep):
    """Plus column minus minus column of each pair."""

    @property
    def linear(self) -> bool:
        """Yes."""
        return True

    def volts(
        self, x: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n outputs"]:
        """Differences, one per pair."""
        return x[..., 0::2] - x[..., 1::2]

    @property
    def acts(self) -> bool:
        """Always."""
        return True

    def remark(self, number: Number) -> str:
        """None."""
        return ""

    def netlist(
        self, tag: str, signals: list[Signal], nodes: list[str], number: Number
    ) -> tuple[list[str], list[Signal]]:
        """Controlled sources in series, or one across two nodes."""
        lines = []
        for o, node in enumerate(nodes):
            plus, minus = signals[2 * o], signals[2 * o + 1]
            if plus.r is not None:
                lines += [
                    f"Hplus_{tag}{o} {tag}pos_{o} 0 {plus.node} {plus.r}",
                    f"Hminus_{tag}{o} {node} {tag}pos_{o} {minus.node} -{minus.r}",
                ]
                continue
            a, b = (minus, plus) if plus.inverted else (plus, minus)
            lines.append(f"Ediff_{tag}{o} {node} 0 {a.node} {b.node} 1")
        return lines, [Signal(node) for node in nodes]


@final
class Rails(AbstractStep, AbstractSpiceStep):
    """Supply rails: voltages are held between two.

    Args:
        v_min: lower rail, () [V]; None or -inf for none.
        v_max: upper rail, () [V]; None or inf for none.

    Raises:
        ValueError: a concrete v_max is not above v_min, or either is NaN.
    """

    v_min: Float[Array, ""] = eqx.field(metadata=described("V", (), "lower rail"))
    v_max: Float[Array, ""] = eqx.field(metadata=described("V", (), "upper rail"))

    def __init__(self, v_min: Any = None, v_max: Any = None):
        v_min = -np.inf if v_min is None else v_min
        v_max = np.inf if v_max is None else v_max
        self.v_min = checked("Readout.v_min", v_min, "a value < inf [V]", lambda v: v < np.inf, 0)
        self.v_max = checked("Readout.v_max", v_max, "a value > -inf [V]", lambda v: v > -np.inf, 0)
        if is_concrete(v_min, v_max) and not np.asarray(v_max) > np.asarray(v_min):
            raise ValueError(f"Readout.v_max: got {v_max}, needs more than v_min, {v_min} [V]")

    @property
    def linear(self) -> bool:
        """No."""
        return False

    def volts(
        self, x: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n columns"]:
        """Clipped."""
        return jnp.clip(x, self.v_min.astype(x.dtype), self.v_max.astype(x.dtype))

    @property
    def acts(self) -> bool:
        """Where either is finite."""
        return bool(np.isfinite(self.v_min) or np.isfinite(self.v_max))

    def remark(self, number: Number) -> str:
        """Both rails."""
        return f"rails {float(self.v_min):g}, {float(self.v_max):g}"

    def netlist(
        self, tag: str, signals: list[Signal], nodes: list[str], number: Number
    ) -> tuple[list[str], list[Signal]]:
        """Behavioural sources with the rails as nodes (see `xbar.spice.layers`)."""
        lines, clipped = ["* rails"], "v({})"
        if np.isfinite(self.v_min):
            lines.append(f"Vlow_{tag}0 {tag}low 0 {number(self.v_min)}")
            clipped = f"max({clipped}, v({tag}low))"
        if np.isfinite(self.v_max):
            lines.append(f"Vhigh_{tag}0 {tag}high 0 {number(self.v_max)}")
            clipped = f"min({clipped}, v({tag}high))"
        for o, (signal, node) in enumerate(zip(signals, nodes, strict=True)):
            lines.append(f"Brail_{tag}{o} {node} 0 v = {clipped.format(signal.node)}")
        return lines, [Signal(node) for node in nodes]


@final
class Readout(eqx.Module):
    """The readout of an array: an amplifier per bit line, the difference of each pair, rails.

    v = clip(R_f (i_plus - i_minus) / (1 + 1/A), v_min, v_max), and any further step behind it.

    Args:
        r_f: feedback resistance, () or one per output, (outputs,) [ohm].
        open_loop_gain: A, (); infinite is ideal.
        v_min: lower rail, () [V]; None or -inf for none.
        v_max: upper rail, () [V]; None or inf for none.
        adc: a converter behind the rails, or any other step; None for none.

    Raises:
        ValueError: a concrete r_f or gain is not above 0, or v_max is not above v_min.
    """

    steps: tuple[AbstractStep, ...]

    def __init__(
        self,
        r_f: Any,
        open_loop_gain: Any = np.inf,
        v_min: Any = None,
        v_max: Any = None,
        adc: AbstractStep | None = None,
    ):
        steps = (Transimpedance(r_f, open_loop_gain), Difference(), Rails(v_min, v_max))
        self.steps = steps if adc is None else (*steps, adc)

    @staticmethod
    def of(steps: Sequence[AbstractStep]) -> "Readout":
        """A chain of any steps.

        Args:
            steps: in order; the first takes the column currents.

        Returns:
            The readout.

        Raises:
            TypeError: the first is no amplifier.
        """
        if not steps or not isinstance(steps[0], AbstractAmplifier):
            got = type(steps[0]).__name__ if steps else "none"
            raise TypeError(f"steps: got {got} first, needs an amplifier such as Transimpedance")
        return _chain(tuple(steps))

    def then(self, step: AbstractStep) -> "Readout":
        """The same with one more step at its end."""
        return _chain((*self.steps, step))

    @property
    def amplifier(self) -> AbstractAmplifier:
        """The first step."""
        first = self.steps[0]
        assert isinstance(first, AbstractAmplifier)
        return first

    @property
    def r_in(self) -> Float[Array, "..."]:
        """Resistance at each amplifier's input, () or (2 * outputs,) [ohm]."""
        return self.amplifier.r_in

    @property
    def gain(self) -> Float[Array, "..."]:
        """Volts per ampere of i_plus - i_minus, R_f / (1 + 1/A), () or (outputs,) [ohm]."""
        return self._first(Transimpedance).gain

    # Any: `equinox.tree_at` finds a leaf by these names, and asks with placeholders in the leaves.

    @property
    def r_f(self) -> Any:
        """Feedback resistance, () or (outputs,) [ohm]."""
        return self._first(Transimpedance).r_f

    @property
    def open_loop_gain(self) -> Any:
        """Of the amplifiers, ()."""
        return self._first(Transimpedance).open_loop_gain

    @property
    def v_min(self) -> Any:
        """Lower rail, () [V]."""
        return self._first(Rails).v_min

    @property
    def v_max(self) -> Any:
        """Upper rail, () [V]."""
        return self._first(Rails).v_max

    def volts(
        self, i_out: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n outputs"]:
        """Voltages of an array's output currents.

        Args:
            i_out: column currents (+, -, +, -), (..., 2 * outputs) [A].
            key: JAX key of one read, for steps with noise.

        Returns:
            v_tia, (..., outputs) [V].

        Raises:
            ValueError: a step has noise and there is no key.
        """
        for number, step in enumerate(self.steps):
            i_out = step.volts(i_out, None if key is None else jax.random.fold_in(key, number))
        return i_out

    def split(self) -> tuple["Readout", "Readout"]:
        """The linear steps that come first, and the rest: volts(i) = rest.volts(first.volts(i))."""
        linear = [step.linear for step in self.steps]
        first = linear.index(False) if False in linear else len(linear)
        return _chain(self.steps[:first]), _chain(self.steps[first:])

    def without_noise(self) -> "Readout":
        """The same, each step's noise left out."""
        quiet = tuple(_quiet(step) for step in self.steps)
        same = all(step is own for step, own in zip(quiet, self.steps, strict=True))
        return self if same else _chain(quiet)

    def netlist(self, tag: str, ends: list[str], nodes: list[str], number: Number) -> list[str]:
        """The circuit of the whole chain.

        Args:
            tag: what names begin with behind their first letter.
            ends: nodes of the bit lines' ends, (2 * outputs,).
            nodes: where the output voltages are wanted, (outputs,).
            number: how to write a number.

        Returns:
            Lines of a netlist.

        Raises:
            ValueError: a step has none.
        """
        steps = []
        for step in self.steps:
            if not isinstance(step, AbstractSpiceStep):
                raise ValueError(f"readout: got {type(step).__name__}, which has no netlist")
            steps.append(step)
        words = [step.remark(number) for step in steps]
        lines = ["* amplifiers: " + ", ".join(word for word in words if word)]
        active, signals = [step for step in steps if step.acts], [Signal(end) for end in ends]
        for left, step in zip(reversed(range(len(active))), active, strict=True):
            part = "raw" if left == 1 else f"raw{left}"
            at = nodes if left == 0 else [f"{tag}{part}_{o}" for o in range(len(nodes))]
            more, signals = step.netlist(tag, signals, at, number)
            lines += more
        return lines

    def _first(self, kind: type) -> Any:
        for step in self.steps:
            if isinstance(step, kind):
                return step
        raise AttributeError(f"readout: has no {kind.__name__}")


def _chain(steps: tuple[AbstractStep, ...]) -> Readout:
    return eqx.tree_at(lambda readout: readout.steps, Readout(1.0), steps)


def _quiet(step: AbstractStep) -> AbstractStep:
    if getattr(step, "noise", None) is None:
        return step
    return eqx.tree_at(lambda s: s.noise, step, None)

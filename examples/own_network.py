"""My network from scikit-learn or PyTorch, and what wires do to it.

`xb.nn.from_sklearn` and `xb.nn.from_torch` take trained networks in their own layout. The sweep
over wire resistance is one compiled call.
"""

import sys

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

import xbar as xb

jax.config.update("jax_enable_x64", True)

x, labels = load_iris(return_X_y=True)
x = x / x.max()
train, test = slice(0, None, 2), slice(1, None, 2)
clf = MLPClassifier((8,), solver="lbfgs", max_iter=500, random_state=0).fit(x[train], labels[train])
net = xb.nn.from_sklearn(clf, calibration=x[train])
# PyTorch, from a Sequential of Linear layers:
#   net = xb.nn.from_torch(model.state_dict(), activation="relu", calibration=x_train)

volts = net(x[test])  # logits times net.output_scale
print(f"software {clf.score(x[test], labels[test]):.1%}", end=", ")
print(f"arrays without wires {(volts.argmax(1) == labels[test]).mean():.1%}")


@jax.jit
def accuracy(r_wire):
    """Share of the test inputs read right, with this resistance per segment [ohm]."""
    wires = xb.Wires(r_wire, r_wire)
    wired = xb.nn.from_sklearn(clf, calibration=x[train], wires=wires)
    return jnp.mean(wired(x[test]).argmax(1) == labels[test])


r_wire = jnp.array([0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
found = jax.lax.map(accuracy, r_wire)
for r, share in zip(r_wire, found, strict=True):
    print(f"{r:6.0f} ohm per segment: {share:.1%}")

if len(sys.argv) > 1:  # a file for the figure
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(r_wire, 100 * found, "o-")
    axes.set(xscale="symlog", xlabel="wire resistance per segment [ohm]", ylabel="accuracy [%]")
    axes.grid(alpha=0.3)
    figure.savefig(sys.argv[1])

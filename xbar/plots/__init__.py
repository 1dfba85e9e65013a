"""Stored results -> figures. Never simulates, knows no circuit.

Every function takes plain arrays and returns a Matplotlib figure; `save` writes it.
"""

from xbar.plots.accuracy import accuracy_figure as accuracy_figure
from xbar.plots.accuracy import confusion_figure as confusion_figure
from xbar.plots.arrays import arrays_figure as arrays_figure
from xbar.plots.arrays import drop_figure as drop_figure
from xbar.plots.arrays import power_figure as power_figure
from xbar.plots.outputs import outputs_figure as outputs_figure
from xbar.plots.style import save as save
from xbar.plots.sweeps import axis_figure as axis_figure
from xbar.plots.sweeps import map_figure as map_figure

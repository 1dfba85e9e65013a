"""Results -> figures. Never simulates.

Every function takes plain arrays, or a solution, and returns a Matplotlib figure; `save` writes it.
`circuit`, `array`, `drop` and `power` show one array, the others what runs have stored.
"""

from xbar.plots.accuracy import accuracy_figure as accuracy_figure
from xbar.plots.accuracy import confusion_figure as confusion_figure
from xbar.plots.accuracy import outputs_figure as outputs_figure
from xbar.plots.arrays import arrays_figure as arrays_figure
from xbar.plots.arrays import drop_figure as drop_figure
from xbar.plots.arrays import fault_maps_figure as fault_maps_figure
from xbar.plots.arrays import lines_figure as lines_figure
from xbar.plots.arrays import power_figure as power_figure
from xbar.plots.circuit import array as array
from xbar.plots.circuit import circuit as circuit
from xbar.plots.circuit import drop as drop
from xbar.plots.circuit import power as power
from xbar.plots.style import save as save
from xbar.plots.sweeps import axis_figure as axis_figure
from xbar.plots.sweeps import map_figure as map_figure
from xbar.plots.worst import cells_figure as cells_figure
from xbar.plots.worst import correctors_figure as correctors_figure
from xbar.plots.worst import growth_figure as growth_figure
from xbar.plots.worst import places_figure as places_figure
from xbar.plots.worst import scatter_figure as scatter_figure
from xbar.plots.worst import yield_figure as yield_figure

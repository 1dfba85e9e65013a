"""Networks on arrays: weights in, output voltages out."""

from xbar.network.build import volts_per_unit as volts_per_unit
from xbar.network.layer import Layer as Layer
from xbar.network.layer import LayerVoltages as LayerVoltages
from xbar.network.layer import Readout as Readout
from xbar.network.network import Network as Network

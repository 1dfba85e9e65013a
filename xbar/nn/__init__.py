"""Networks on arrays: weights in, output voltages out."""

from xbar.nn.build import volts_per_unit as volts_per_unit
from xbar.nn.layer import Layer as Layer
from xbar.nn.layer import LayerVoltages as LayerVoltages
from xbar.nn.layer import Readout as Readout
from xbar.nn.network import Network as Network

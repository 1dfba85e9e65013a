"""Networks on arrays: weights in, output voltages out."""

from xbar.nn.array import Array as Array
from xbar.nn.array import Prepared as Prepared
from xbar.nn.build import volts_per_unit as volts_per_unit
from xbar.nn.chip import age as age
from xbar.nn.chip import program as program
from xbar.nn.chip import read as read
from xbar.nn.converters import ADC as ADC
from xbar.nn.converters import DAC as DAC
from xbar.nn.corrected import CorrectedVoltages as CorrectedVoltages
from xbar.nn.corrected import corrected as corrected
from xbar.nn.from_software import from_sklearn as from_sklearn
from xbar.nn.from_software import from_torch as from_torch
from xbar.nn.hardware import Hardware as Hardware
from xbar.nn.layer import Layer as Layer
from xbar.nn.layer import LayerVoltages as LayerVoltages
from xbar.nn.network import Network as Network
from xbar.nn.network import forward as forward
from xbar.nn.readout import Difference as Difference
from xbar.nn.readout import Rails as Rails
from xbar.nn.readout import Readout as Readout
from xbar.nn.readout import Transimpedance as Transimpedance
from xbar.nn.steps import AbstractAmplifier as AbstractAmplifier
from xbar.nn.steps import AbstractSpiceStep as AbstractSpiceStep
from xbar.nn.steps import AbstractStep as AbstractStep

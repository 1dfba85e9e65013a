"""ngspice as the referee: any array or network as a netlist, run, read back and compared."""

from xbar.spice.errors import NgspiceCrashed as NgspiceCrashed
from xbar.spice.errors import NgspiceMissing as NgspiceMissing
from xbar.spice.errors import NgspiceNoConvergence as NgspiceNoConvergence
from xbar.spice.errors import NgspiceTimeout as NgspiceTimeout
from xbar.spice.errors import NgspiceTooOld as NgspiceTooOld
from xbar.spice.errors import NgspiceTruncated as NgspiceTruncated
from xbar.spice.errors import SpiceError as SpiceError
from xbar.spice.layers import layer_netlist as layer_netlist
from xbar.spice.layers import network_netlist as network_netlist
from xbar.spice.netlist import array_netlist as array_netlist
from xbar.spice.netlist import subckt as subckt
from xbar.spice.ngspice import Ngspice as Ngspice
from xbar.spice.ngspice import Readings as Readings
from xbar.spice.ngspice import find_ngspice as find_ngspice
from xbar.spice.ngspice import run_netlist as run_netlist
from xbar.spice.run import run_array as run_array
from xbar.spice.run import run_network as run_network
from xbar.spice.verify import Report as Report
from xbar.spice.verify import Row as Row
from xbar.spice.verify import compare as compare
from xbar.spice.verify import verify_array as verify_array
from xbar.spice.verify import verify_layer as verify_layer
from xbar.spice.verify import verify_network as verify_network

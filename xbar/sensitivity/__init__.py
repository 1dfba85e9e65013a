"""Which cells matter: gradients, exact effects of faults, worst cases (docs/sensitivity.md)."""

from xbar.sensitivity.baseline import Baseline as Baseline
from xbar.sensitivity.baseline import FaultMap as FaultMap
from xbar.sensitivity.baseline import baseline as baseline
from xbar.sensitivity.baseline import stuck_values as stuck_values
from xbar.sensitivity.baseline import with_cells as with_cells
from xbar.sensitivity.coupling import Coupling as Coupling
from xbar.sensitivity.coupling import coupling as coupling
from xbar.sensitivity.expansion import Expansion as Expansion
from xbar.sensitivity.expansion import expansion as expansion
from xbar.sensitivity.expansion import voltage_expansion as voltage_expansion
from xbar.sensitivity.fault_maps import cell_faults as cell_faults
from xbar.sensitivity.fault_maps import column_faults as column_faults
from xbar.sensitivity.fault_maps import fault_voltages as fault_voltages
from xbar.sensitivity.fault_maps import pair_faults as pair_faults
from xbar.sensitivity.fault_maps import row_faults as row_faults
from xbar.sensitivity.fault_sets import changed_transfers as changed_transfers
from xbar.sensitivity.fault_sets import fault_sets as fault_sets
from xbar.sensitivity.fault_sets import pair_column_faults as pair_column_faults
from xbar.sensitivity.fault_sets import sets_of as sets_of
from xbar.sensitivity.gradient_maps import Gradients as Gradients
from xbar.sensitivity.gradient_maps import LayerGradient as LayerGradient
from xbar.sensitivity.gradient_maps import gradients as gradients
from xbar.sensitivity.losses import margin as margin
from xbar.sensitivity.response import Response as Response
from xbar.sensitivity.response import response as response

"""What follows from one solved array: noise at its outputs, where its power goes, its delays."""

from xbar.analysis.delay import LineDelay as LineDelay
from xbar.analysis.delay import elmore_delay as elmore_delay
from xbar.analysis.delay import output_delay as output_delay
from xbar.analysis.noise import output_noise as output_noise
from xbar.analysis.power import Power as Power
from xbar.analysis.power import power as power

"""Effects of a device, each a frozen module of one stage: programming, ageing, reading."""

from xbar.devices.effects.base import AbstractAgeing as AbstractAgeing
from xbar.devices.effects.base import AbstractEffect as AbstractEffect
from xbar.devices.effects.base import AbstractProgramming as AbstractProgramming
from xbar.devices.effects.base import AbstractReading as AbstractReading
from xbar.devices.effects.drift import Drift as Drift
from xbar.devices.effects.flicker import FlickerNoise as FlickerNoise
from xbar.devices.effects.levels import Levels as Levels
from xbar.devices.effects.lognormal import Lognormal as Lognormal
from xbar.devices.effects.programming import ProgrammingError as ProgrammingError
from xbar.devices.effects.programming import WriteVerify as WriteVerify
from xbar.devices.effects.relaxation import Relaxation as Relaxation
from xbar.devices.effects.telegraph import Telegraph as Telegraph
from xbar.devices.effects.wear import Wear as Wear

EFFECTS: dict[str, type[AbstractEffect]] = {
    "levels": Levels,
    "programming-error": ProgrammingError,
    "write-verify": WriteVerify,
    "lognormal": Lognormal,
    "drift": Drift,
    "relaxation": Relaxation,
    "wear": Wear,
    "flicker-noise": FlickerNoise,
    "telegraph": Telegraph,
}
"""Every effect by name, in the order in which a device has them."""

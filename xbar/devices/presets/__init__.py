"""Published devices by name. A new one is one file with one function, and one entry in `PRESETS`.

`print(preset(name))` shows its laws with units, the ranges they hold in, and their source.
"""

from collections.abc import Callable
from typing import Any

from xbar.checks import check_word
from xbar.devices.device import Device
from xbar.devices.presets.cmo_hfox import cmo_hfox
from xbar.devices.presets.milo import milo
from xbar.devices.presets.pcm import pcm
from xbar.devices.presets.stanford_asu import stanford_asu
from xbar.devices.presets.wan2022 import wan2022

PRESETS: dict[str, Callable[..., Device]] = {
    "stanford_asu": stanford_asu,
    "milo": milo,
    "wan2022": wan2022,
    "cmo_hfox": cmo_hfox,
    "pcm": pcm,
}
"""Published devices by name; see `preset`."""


def preset(name: str, **options: Any) -> Device:
    """A published device.

    | name | what | targets | effects | options |
    |---|---|---|---|---|
    | stanford_asu | ReRAM, Stanford model | 4.6 to 1846 uS at 0.1 V | its I-V law alone | |
    | milo | HfO2 ReRAM, multilevel | 50 to 225 uS | programming; I-V (62.5 to 110 uS) | |
    | wan2022 | ReRAM of the NeuRRAM chip | 0 to 40 uS | programming, relaxation to 2 days | |
    | cmo_hfox | CMO/HfOx ReRAM | 9 to 88.2 uS | programming, relaxation, 1/f | acceptance |
    | pcm | phase-change memory | 0 to 25 uS | programming, drift, 1/f | |

    ```python
    print(preset("pcm"))
    ```

    Args:
        name: a key of `PRESETS`.
        options: of that preset, as its function in `xbar.devices.presets` lists them.

    Returns:
        The device.

    Raises:
        ValueError: no preset has that name, or an option has another value.
    """
    check_word("preset", name, list(PRESETS))
    return PRESETS[name](**options)

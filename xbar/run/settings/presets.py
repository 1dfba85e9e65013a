"""What can be named: device windows, shapes, faults and stuck values; and published devices."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xbar.devices import PLACEMENTS, PRESETS, SHAPES, preset
from xbar.devices.mapping import WINDOWS
from xbar.nn.broken_lines import LINE_FAULTS
from xbar.run.errors import UsageError
from xbar.run.settings.chips import WORDS
from xbar.run.settings.faults import CELL_FAULTS, FAULTS, in_words

# Where each window comes from; a test holds the list complete.
SOURCES = {
    "mnsim": "MNSIM's device; the default",
    "stanford": "the Stanford model's defaults at 0.1 V, as MemTorch uses it",
    "25k-200k": "a range gathered from publications",
    "neurosim": "NeuroSim",
    "3.3k-1M": "a range gathered from publications",
    "chip": "a measured chip, programmed between 133 and 233 uS",
    "chip-stuck": "the same chip's stuck cells, about 500 and 10 uS; for --stuck-window",
}


def show_presets(console: Console) -> None:
    """Print all of them."""
    windows = Table("window", "R_on [ohm]", "R_off [ohm]", "source")
    for name, (r_on, r_off) in WINDOWS.items():
        windows.add_row(name, f"{r_on:,.0f}", f"{r_off:,.0f}", SOURCES.get(name, ""))
    windows.add_row("R_ON:R_OFF", "", "", "your own, such as 1e4:1e6 or 10k:1M")
    shapes = Table("shape", "share of the array", "its own", "in")
    for name, shape in PLACEMENTS.items():
        where = "demo, study, sensitivity" if name in SHAPES else "sensitivity"
        shapes.add_row(
            name, f"{shape.least:.3g} to {shape.most:.3g}", f"{shape.coverage:.3g}", where
        )
    faults = Table("fault", "what is stuck", "where it may be stuck")
    for name in FAULTS:
        if name in LINE_FAULTS:
            where = ("open",) if name.startswith("open") else ("ohm of a bridge, such as 20",)
        else:
            words = {"value": "ohm, such as 5k"}
            where = [words.get(word, word) for word in CELL_FAULTS[name].values]
        faults.add_row(name, in_words(name), ", ".join(where))
    devices = Table("device", "what, its range, source; `xbar presets DEVICE` prints all its laws")
    for name in PRESETS:
        about = preset(name).about
        low, high = (f"{1e6 * g:.3g}" for g in about.g_range or (0.0, float("inf")))
        devices.add_row(name, f"{about.what}; {low} to {high} uS; {about.source}")
    effects = Table("effect of a device", "its size")
    for text in WORDS.values():
        word, _, about = text.partition(": ")
        effects.add_row(word, about)
    for table in (windows, shapes, faults, devices, effects):
        console.print(table)


def show_device(console: Console, name: str) -> None:
    """Print one published device: laws with units, ranges, source.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        text = str(preset(name))
    except ValueError as error:
        raise UsageError(str(error).replace("preset:", "DEVICE:")) from error
    console.print(Text(text))

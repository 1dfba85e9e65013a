"""What an array in a module is: unit, axes and meaning, beside the field that holds it.

```python
class Pairs(eqx.Module):
    g_plus: Array = eqx.field(metadata=described("S", ("row", "pair"), "plus cells"))
```

`xbar.io.tree` writes them into every file that holds the module. A field without any is written all
the same, without a unit.
"""

from typing import Any

import numpy as np


def described(unit: str = "1", axes: tuple[str, ...] = (), about: str = "") -> dict[str, Any]:
    """Metadata of a module's field.

    Args:
        unit: SI unit, "1" for pure numbers.
        axes: name of each axis of the array in one module; a batch leads with more. An array that
            may also be one number, such as the resistance of all segments, names those it may have.
        about: what it is, in a sentence.

    Returns:
        For `equinox.field(metadata=...)` or `dataclasses.field(metadata=...)`.
    """
    return {"unit": unit, "axes": axes, "about": about}


def extent(values: Any) -> str:
    """One number, or the range of several."""
    known = np.asarray(values)  # of JAX arrays, NumPy would ask JAX
    low, high = float(known.min()), float(known.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"

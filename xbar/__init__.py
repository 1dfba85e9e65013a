"""xbar: a differentiable simulator of ReRAM crossbar circuits in JAX.

`__init__.pyi` lists the public names. Each is loaded when it is first used, and JAX with it.
"""

from typing import Any

import lazy_loader

_lazily, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("xbar")
    return _lazily(name)

"""Ctrl-C that is not lost: Python drops a KeyboardInterrupt that meets it in a callback of C."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Remembers whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def check(self) -> None:
        """Raise what was lost.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed before.
        """
        if self.pressed:
            raise KeyboardInterrupt

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember Ctrl-C in here; in the main thread alone, as others get no signals.

        What Python drops it also prints, with a traceback; not that one, which `check` raises anew.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def remember(_: int, __: FrameType | None) -> None:
            self.pressed = True
            raise KeyboardInterrupt

        def tell(dropped: "sys.UnraisableHookArgs") -> None:
            if not (self.pressed and issubclass(dropped.exc_type, KeyboardInterrupt)):
                hook(dropped)

        before, hook = signal.signal(signal.SIGINT, remember), sys.unraisablehook
        sys.unraisablehook = tell
        try:
            yield
            self.check()
        finally:
            signal.signal(signal.SIGINT, before)
            sys.unraisablehook = hook

"""One run in one folder: a lock that dies with its process."""

import fcntl
import os
import socket
from pathlib import Path

from xbar.run.errors import UsageError

NAME = "run.lock"


class FolderLock:
    """Holds a folder for this process, by `flock` on a file in it.

    The kernel lets go of it when the process ends, however it ends. (`flock` works between hosts
    where the file system supports it, as NFS and Lustre mounted with `flock` do.) The file names
    its holder, which the locks of libraries do not.

    Args:
        folder: what to hold; it is there.

    Raises:
        UsageError: another process holds it, or the file is something else's.
        OSError: the lock file cannot be made, or is a link, which is not followed.
    """

    def __init__(self, folder: Path):
        self.file = folder / NAME
        self._handle = -1
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        while self._handle < 0:
            handle = os.open(self.file, flags, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.read(handle, 200).decode("ascii", "replace").strip()
                os.close(handle)
                raise UsageError(
                    f"--out: another run ({holder or 'just started'}) is at work in {folder}; "
                    "needs another folder, or its end"
                ) from error
            if _same_file(handle, self.file):
                self._handle = handle
            else:  # its holder removed it between our opening and locking it
                os.close(handle)
        if (found := os.read(self._handle, 200)) and not found.startswith(b"process "):
            os.close(self._handle)
            raise UsageError(f"--out: got {self.file}, which no run wrote; needs another folder")
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Let go."""
        if self._handle >= 0:
            self.file.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False

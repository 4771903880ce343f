"""Reading files of unknown origin: regular files only, up to a number of bytes."""

import os
import stat
from pathlib import Path

from sgbench.base.errors import UserError


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises OSError as the system reports it, and UserError for anything else than a regular file (a pipe would block, a
    device never ends) and for a file that is larger.
    """
    try:
        # Opening a pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # A null byte in the name.
        raise FileNotFoundError(2, "No such file or directory", str(path)) from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UserError("this is not a regular file", where=str(path), fix="give the path of a file")
        content = stream.read(most + 1)
    if len(content) > most:
        raise UserError(f"the file has more than {most:,} bytes", where=str(path), fix="give a smaller one")
    return content


def is_there(path: Path) -> bool:
    """Whether a path exists; False for a name that no file can have, such as one of a thousand letters."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False

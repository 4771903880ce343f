"""SIGINT and SIGTERM: work stops, finished files are kept, and the exit status says which signal it was."""

import contextlib
import os
import signal
import socket
import threading
import time
from types import FrameType

STATUS = 128
# Signals sent to a process and to its group (by `timeout`, by a terminal and a supervisor) count as one.
SAME_SECONDS = 0.5
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

_received: int | None = None


class Interruption(BaseException):
    """A signal asked this process to end. Not an Exception, so that no handler of errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(WORDS.get(signal.Signals(number), "stopped"))
        self.number = number
        self.kept = ""
        """What was kept, for the sentence that ends the command."""

    @property
    def status(self) -> int:
        """The exit status that shells use for such an end."""
        return STATUS + self.number


def install() -> None:
    """From now on the first signal raises Interruption in the main thread, and a second ends the process at once.

    A signal that the parent ignores stays ignored, as background jobs of a shell need.
    """
    global _received  # noqa: PLW0603 (a process has one set of signals)
    _received = None
    ours = [number for number in WORDS if signal.getsignal(number) is not signal.SIG_IGN]
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    # Written to at once; the handler itself waits until the main thread returns from whatever library it is in, which
    # never happens when a device hangs.
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_on_second, args=(reader, writer), daemon=True, name="second signal").start()
    for number in ours:
        signal.signal(number, _stop)


def stop_if_asked() -> None:
    """Raise Interruption if a signal came whose exception was lost, as in a finaliser."""
    if _received is not None:
        raise Interruption(_received)


def _stop(number: int, frame: FrameType | None) -> None:
    global _received  # noqa: PLW0603
    if _received is None:
        _received = number
        raise Interruption(number)


def _end_on_second(reader: socket.socket, writer: socket.socket) -> None:
    # `writer` is held so that its descriptor stays open as long as this thread reads.
    first: float | None = None
    while True:
        with contextlib.suppress(InterruptedError):
            numbers = [n for n in reader.recv(64) if n in WORDS]
            now = time.monotonic()
            if numbers and first is None:
                first = now
            elif numbers and first is not None and now - first > SAME_SECONDS:
                os._exit(STATUS + numbers[-1])

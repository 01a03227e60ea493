"""Run a program that must not outlive the process that started it, even when that one is killed outright.

`python -I portal/tether.py PARENT_PID PROGRAM ARGUMENT ...` (-I: nothing beside this file is importable by accident)

On Linux the kernel sends SIGTERM to the program when its parent dies, so this process simply becomes the program.
Elsewhere it stays between the two and looks, twice a second, whether the parent is still there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import types

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.5
GRACE_SECONDS = 15


def become(parent: int, argv: list[str]) -> int:
    """Replace this process by the program, tied to its parent (Linux). Returns only when the parent is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == parent:  # otherwise it died before the tie was made
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    return 1


def watch(parent: int, argv: list[str]) -> int:
    """Run the program as a child and end it when the parent is gone; returns the program's exit status."""
    child = subprocess.Popen(argv)

    def pass_on(number: int, _frame: types.FrameType | None) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while os.getppid() == parent:
        try:
            return child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    child.terminate()
    try:
        return child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def main(argv: list[str]) -> int:
    """Tie `argv[1:]` to the process whose id is `argv[0]`."""
    parent, program = int(argv[0]), argv[1:]
    return become(parent, program) if sys.platform == "linux" else watch(parent, program)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

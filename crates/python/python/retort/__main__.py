"""The command `retort`, which `pip`, `uv tool` and `pipx` install; also `python -m retort`."""

import signal
import sys

from ._retort import command


def main():
    # Python's own handler would only set a flag until the command ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(command(["retort", *sys.argv[1:]]))


if __name__ == "__main__":
    main()

"""`python -m mnist_lessons ...`: each command stands in a module of `commands`."""

import sys

from mnist_lessons.commands import main

if __name__ == "__main__":
    sys.exit(main())

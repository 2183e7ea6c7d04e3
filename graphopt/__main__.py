"""`python -m graphopt` is `graphopt`."""

import sys

from graphopt.cli import main

if __name__ == "__main__":
    sys.exit(main())

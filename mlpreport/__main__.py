"""`python -m mlpreport` is the command line."""

import sys

from mlpreport.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`cascadebert`, also as `python -m cascadebert`."""

import sys

from cascadebert.commands.main import main

if __name__ == "__main__":
    sys.exit(main())

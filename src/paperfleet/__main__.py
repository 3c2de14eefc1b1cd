"""``python -m paperfleet``."""

import sys

from paperfleet.cli import main

sys.exit(main())

"""`python -m microgpt` is the command `microgpt`."""

import sys

from microgpt.cli import main

sys.exit(main())

"""`python -m interlock.operator`."""

from __future__ import annotations

import sys

from interlock.operator.app import main

sys.exit(main())

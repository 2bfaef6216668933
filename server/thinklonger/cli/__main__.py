"""`python -m thinklonger.cli`."""

import sys

from thinklonger.cli import main

sys.exit(main())

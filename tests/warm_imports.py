"""What the fork server of `warm.py` imports: all that a bench does on its way."""

import matplotlib.backends.backend_pdf
import matplotlib.backends.backend_svg

from sgbench.cli import app
from sgbench.plan import plan
from sgbench.report import build
from sgbench.run import runner
from sgbench.score import rows, scorer
from tests import tiny_model

__all__ = ["app", "build", "matplotlib", "plan", "rows", "runner", "scorer", "tiny_model"]

"""sgbench: benchmark and evaluation harness for guidance on token-sparse diffusion transformers.

The public API, one verb per stage; each does what the command of the same name does. Torch is imported
only by the verbs that need it.
"""

# A subpackage imported later would take the name of the function that is called like it.
import sgbench.compare
import sgbench.report
import sgbench.run
import sgbench.score  # noqa: F401
from sgbench.api import bench as bench
from sgbench.api import compare as compare
from sgbench.api import load_suite as load_suite
from sgbench.api import make_plan as make_plan
from sgbench.api import publish as publish
from sgbench.api import report as report
from sgbench.api import run as run
from sgbench.api import score as score
from sgbench.errors import UserError as UserError

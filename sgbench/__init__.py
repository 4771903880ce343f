"""sgbench: benchmark and evaluation harness for guidance on token-sparse diffusion transformers.

The public API: what is imported from here stays. The stages are functions, as `api.py` has them; torch is imported only
by those that need it. None is called like a folder, so `import sgbench.results.store` finds the module.
"""

from sgbench.api import bench_suite as bench_suite
from sgbench.api import check as check
from sgbench.api import compare_results as compare_results
from sgbench.api import load_suite as load_suite
from sgbench.api import make_plan as make_plan
from sgbench.api import publish as publish
from sgbench.api import report_suite as report_suite
from sgbench.api import run_suite as run_suite
from sgbench.api import score_suite as score_suite
from sgbench.api import with_model as with_model
from sgbench.base.errors import UserError as UserError
from sgbench.models.architecture import Macs as Macs
from sgbench.models.card import Adapter as Adapter
from sgbench.models.card import ModelCard as ModelCard

bench = bench_suite

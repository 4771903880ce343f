"""The protocols under which this version scores a suite. No torch."""

from sgbench.cells.prompts import load_prompts
from sgbench.images.sets import QUANTISATION, ImageSetInfo
from sgbench.metrics.catalogue import image_metrics
from sgbench.metrics.protocols import Protocol, protocol
from sgbench.metrics.references.load import load_reference
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import check_samples


def suite_protocols(suite: Suite) -> dict[str, Protocol]:
    """The protocol of each metric of a suite. Raises UserError for too few images, a missing reference or weights."""
    if not suite.metrics:
        return {}
    check_samples(suite)
    prompts = load_prompts(suite.prompts, f"{suite.where}: prompts") if suite.prompts else None
    info = ImageSetInfo("", suite.samples, suite.labels, QUANTISATION, None, prompts)
    needed = bool(suite.reference and image_metrics(suite.metrics))
    reference = load_reference(suite.reference, f"{suite.where}: reference") if needed else None
    return {metric: protocol(metric, info, reference) for metric in suite.metrics}

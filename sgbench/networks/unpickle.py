"""The process that `convert` starts for a pickled file: it runs the file's code and keeps only tensors.

    python -I -m sgbench.networks.unpickle IN OUT.safetensors

Exits with 0, or with 1 and one line on stderr.
"""

import resource
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from sgbench.base.errors import UserError
from sgbench.files.picking import MAX_NESTING
from sgbench.networks.checkpoints import ZIP_MAGIC, pick_weights, save_weights

OPEN_FILES = 256
SPARE_BYTES = 1 << 26


def without_modules(content: object, depth: int = MAX_NESTING) -> object:
    """Replace pickled networks by their state dicts."""
    if isinstance(content, nn.Module):
        return content.state_dict()
    if isinstance(content, Mapping) and depth:
        return {str(key): without_modules(value, depth - 1) for key, value in content.items()}
    return content


def main(source: Path, out: Path) -> int:
    """Unpickle `source` in full and write the weights in it to `out`."""
    # Tensors that share memory are written separately, so the output may be larger than the input.
    largest_file = 2 * source.stat().st_size + SPARE_BYTES
    limits = {resource.RLIMIT_NOFILE: OPEN_FILES, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: largest_file}
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))
    with source.open("rb") as stream:
        mapped = stream.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    try:
        content = torch.load(source, map_location="cpu", weights_only=False, mmap=mapped)
        weights, picked = pick_weights(without_modules(content), str(source))
        save_weights(weights, out, {"picked": picked})
    except UserError as error:
        print(error.what, file=sys.stderr)
        return 1
    except Exception as error:  # The file's own code may raise anything.
        print(f"{type(error).__name__}: {error}".partition("\n")[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))

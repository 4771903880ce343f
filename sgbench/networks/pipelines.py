"""A text-to-image model from a local folder of diffusers' layout: denoiser, captions and decoder (extra `hf`).

Every part is loaded by a class that is named here, from safetensors, on this machine: a folder may say which numbers to
use but not which code to run. What the parts do together is left to the pipeline's own methods.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sgbench.models.architecture import Routes
from sgbench.models.components import damaged, read_json
from sgbench.models.families.prx import read_pipeline
from sgbench.networks.autoencoder import Decoder
from sgbench.networks.prx import PRX, no_diffusers, with_mask
from sgbench.networks.text_encoder import TextEncoder

LOCAL = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
# diffusers' other way of loading needs a library that nothing here depends on.
DIFFUSERS = {**LOCAL, "low_cpu_mem_usage": False}


class Captions(TextEncoder):
    """Captions to the condition of PRX as its pipeline encodes them: cleaned, padded, with a mask.

    Embeddings and mask are (N, caption_tokens, caption_channels + 1).
    """

    def __init__(self, pipeline: Any, caption_tokens: int) -> None:
        self.pipeline, self.longest = pipeline, caption_tokens

    def null(self) -> Tensor:
        """The empty text."""
        return self.encode([""])

    def _count(self, caption: str) -> int:
        return len(self.pipeline.tokenizer(self.pipeline.text_preprocessor.clean_text(caption))["input_ids"])

    def _encode(self, captions: Sequence[str]) -> Tensor:
        words, mask, _, _ = self.pipeline.encode_prompt(
            list(captions),
            device=self.pipeline.text_encoder.device,
            do_classifier_free_guidance=False,
            tokenizer_max_length=self.longest,
        )
        return with_mask(words.float(), mask)


class Pipeline(NamedTuple):
    """The three parts of a text-to-image model, on their device, in evaluation mode."""

    network: PRX
    captions: Captions
    decoder: Decoder


def load_pipeline(folder: Path, routes: Routes, device: torch.device, resolution: int | None = None) -> Pipeline:
    """The model in `folder` with image tokens routed past blocks, for images of `resolution` pixels or its own.

    The denoiser is float32, text encoder and decoder are bfloat16 where a GPU has it. Raises UserError when the
    folder is not such a pipeline, a part is damaged or incomplete, or diffusers or transformers is missing.
    """
    architecture = read_pipeline(folder, routes, resolution)
    diffusers, transformers = _libraries()
    low = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    transformer = _load(diffusers.PRXTransformer2DModel, folder / "transformer", DIFFUSERS)
    kind = read_json(folder / "vae" / "config.json")["_class_name"]
    autoencoder = _load(getattr(diffusers, kind), folder / "vae", DIFFUSERS)
    encoder = _load_text_encoder(folder / "text_encoder")
    with _reading(folder / "tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder / "tokenizer", local_files_only=True, trust_remote_code=False
        )
    with warnings.catch_warnings():
        # The pipeline is made of a class that diffusers itself calls deprecated.
        warnings.filterwarnings("ignore", ".*LoraLoaderMixin", FutureWarning)
        pipeline = diffusers.PRXPipeline(
            transformer=None,
            scheduler=None,
            text_encoder=encoder.to(device, low).eval().requires_grad_(False),
            tokenizer=tokenizer,
        )
    return Pipeline(
        PRX(architecture, transformer).eval().requires_grad_(False).to(device, torch.float32),
        Captions(pipeline, architecture.caption_tokens),
        Decoder(autoencoder).to(device, low).eval().requires_grad_(False),
    )


def _libraries() -> tuple[Any, Any]:
    try:
        with warnings.catch_warnings():
            # They warn of each other's deprecations while they are imported.
            warnings.simplefilter("ignore")
            diffusers, transformers = import_module("diffusers"), import_module("transformers")
            import_module("diffusers.pipelines.prx.pipeline_prx")
    except (ImportError, RuntimeError) as error:
        raise no_diffusers() from error
    for library in (diffusers, transformers):
        # Whoever loads a model has a progress display of their own.
        library.utils.logging.disable_progress_bar()
    return diffusers, transformers


def _load(kind: Any, folder: Path, how: dict[str, bool], **more: Any) -> Any:
    """One part with all its weights. Both libraries would fill in what is missing at random."""
    with _reading(folder):
        part, found = kind.from_pretrained(folder, **how, **more)
    lacking = sorted([*found["missing_keys"], *map(str, found["mismatched_keys"])])
    if lacking:
        count = f"{len(lacking)} are missing or of another shape, {lacking[0]} first"
        raise damaged(f"the weights do not fit the configuration: {count}", folder)
    return part


def _load_text_encoder(folder: Path) -> Any:
    """T5Gemma's encoder. Its configuration may be that of encoder and decoder, or its own."""
    settings = import_module("transformers.models.t5gemma.configuration_t5gemma")
    kind = import_module("transformers.models.t5gemma.modeling_t5gemma").T5GemmaEncoder
    both = "encoder" in read_json(folder / "config.json")
    record = settings.T5GemmaConfig if both else settings.T5GemmaModuleConfig
    with _reading(folder):
        read = record.from_pretrained(folder, local_files_only=True)
        config = read.encoder if both else read
    return _load(kind, folder, LOCAL, config=config)


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Whatever a damaged folder makes one of the libraries raise, as a UserError."""
    try:
        yield
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise damaged(f"the {folder.name} of the pipeline cannot be read ({reason})", folder) from error

"""Captions to embeddings: what text encoders have in common, and CLIP's text tower as MicroDiT reads it.

MicroDiT (arXiv 2407.15811, section 4) was trained on captions that DFN5B-CLIP-ViT-H-14-378 had encoded. Its published
code runs the tower up to and including the last norm, and neither pools nor projects: it reads the states of all words.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded, unreadable
from sgbench.models.components import TEXT_ENCODER_WEIGHTS, damaged, first_file
from sgbench.networks.checkpoints import load_strict, read_state

# Bounds memory: a text encoder may be larger than the denoiser, and pads captions to their full length.
BATCH = 16
CONFIG = "open_clip_config.json"
# Prefixes in a CLIP checkpoint that are not of the text tower up to its last norm.
ELSEWHERE = ("visual.", "logit_scale", "logit_bias", "text_projection")
# Start and end of a caption.
MARKS = 2


class TowerSizes(NamedTuple):
    """A text tower under the names of open_clip's configurations."""

    context_length: int
    vocab_size: int
    width: int
    heads: int
    layers: int
    quick_gelu: bool


DFN5B = TowerSizes(context_length=77, vocab_size=49408, width=1024, heads=16, layers=24, quick_gelu=True)


class TextEncoder(ABC):
    """Encodes captions for a text-to-image network."""

    longest: int
    """Tokens that a caption may have."""

    @abstractmethod
    def null(self) -> Tensor:
        """The embedding of the null condition (1, L, C)."""

    @abstractmethod
    def _count(self, caption: str) -> int:
        """Tokens of a caption."""

    @abstractmethod
    def _encode(self, captions: Sequence[str]) -> Tensor:
        """Embeddings (N, L, C) of at most a batch of captions."""

    @torch.inference_mode()
    def encode(self, captions: Sequence[str]) -> Tensor:
        """Embeddings (N, L, C) in float32. Raises UserError for a caption that is too long: nothing is cut off."""
        for caption in captions:
            self.check_length(caption)
        parts = [self._encode(captions[start : start + BATCH]) for start in range(0, len(captions), BATCH)]
        return torch.cat(parts) if parts else self.null()[:0]

    def check_length(self, caption: str) -> None:
        """Raise UserError for a caption that would be cut off."""
        count = self._count(caption)
        if count > self.longest:
            what = f"the caption has {count} tokens and the text encoder reads {self.longest}"
            raise UserError(what, where=f"caption {caption!r}", fix="shorten it")


class CLIPTextEncoder(TextEncoder, nn.Module):
    """open_clip's text tower and tokenizer; captions to (N, context_length, width)."""

    def __init__(self, sizes: TowerSizes = DFN5B) -> None:
        super().__init__()
        import open_clip
        from open_clip.transformer import QuickGELU, TextTransformer

        self.sizes, self.longest = sizes, sizes.context_length - MARKS
        shape = sizes._asdict()
        activation = QuickGELU if shape.pop("quick_gelu") else nn.GELU
        self.tokenizer = open_clip.SimpleTokenizer(context_length=sizes.context_length)
        self.tower = TextTransformer(**shape, pool_type="none", proj_type="none", act_layer=activation)

    def null(self) -> Tensor:
        """Zeros (1, context_length, width), not the embedding of an empty text."""
        return torch.zeros(1, self.sizes.context_length, self.sizes.width, device=self._device)

    def _count(self, caption: str) -> int:
        return len(self.tokenizer.encode(caption))

    def _encode(self, captions: Sequence[str]) -> Tensor:
        words = self.tokenizer(list(captions)).to(self._device)
        # In bfloat16 on a GPU that has it, as published.
        published = self._device.type == "cuda" and torch.cuda.is_bf16_supported()
        with torch.autocast("cuda", torch.bfloat16) if published else contextlib.nullcontext():
            return self.tower(words).float()

    @property
    def _device(self) -> torch.device:
        return self.tower.token_embedding.weight.device


def load_text_encoder(path: Path, device: torch.device, sizes: TowerSizes = DFN5B) -> CLIPTextEncoder:
    """The text tower of a CLIP model, from its weights alone or from a folder in open_clip's `local-dir` layout.

    Raises UserError when there are no weights, or weights of other sizes.
    """
    file = first_file(path, TEXT_ENCODER_WEIGHTS) if path.is_dir() else path
    if file is None:
        fix = f"put one of {', '.join(TEXT_ENCODER_WEIGHTS)} there, next to {CONFIG}"
        raise UserError("the folder holds no weights of a text encoder", where=str(path), fix=fix)
    if path.is_dir():
        _check_config(path / CONFIG, sizes)
    require_recorded(file)
    encoder = CLIPTextEncoder(sizes)
    state = {name.removeprefix("text."): tensor for name, tensor in read_state(file).items()}
    load_strict(encoder.tower, state, str(file), ignore=ELSEWHERE)
    return encoder.eval().requires_grad_(False).to(device)


def _check_config(path: Path, sizes: TowerSizes) -> None:
    """Refuse another network by its configuration: two towers of equal shapes may differ in their activation."""
    expected: dict[str, Any] = sizes._asdict()
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        given = {"quick_gelu": bool(model.get("quick_gelu", False)), **model["text_cfg"]}
        found = {**dict.fromkeys(expected), **given}
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged("the file is not an open_clip configuration with a text tower", path) from error
    other = [f"{name} is {found[name]}, not {value}" for name, value in expected.items() if found[name] != value]
    unknown = sorted(found.keys() - expected.keys())
    if other or unknown:
        what = f"the folder holds another text encoder ({', '.join([*other, *unknown])})"
        fix = "give the one that the model was trained with, DFN5B-CLIP-ViT-H-14-378 for MicroDiT"
        raise UserError(what, where=str(path), fix=fix)

"""Captions to embeddings by CLIP's text tower as MicroDiT reads them: the states of all words, not pooled.

MicroDiT (arXiv 2407.15811, section 4) was trained on captions that DFN5B-CLIP-ViT-H-14-378 had encoded. Its published
code runs the tower up to and including the last norm, and neither pools nor projects. No caption is all zeros.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor, nn

from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded, unreadable
from sgbench.models.components import TEXT_ENCODER_WEIGHTS, first_file
from sgbench.networks.checkpoints import load_strict, read_state

# Bounds memory: a list of prompts may have thousands.
BATCH = 64
CONFIG = "open_clip_config.json"
# What a CLIP checkpoint holds besides the text tower up to its last norm.
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


class CaptionEncoder(nn.Module):
    """open_clip's text tower and tokenizer; captions to (N, context_length, width)."""

    def __init__(self, sizes: TowerSizes = DFN5B) -> None:
        super().__init__()
        self.sizes = sizes
        self.tokenizer = open_clip.SimpleTokenizer(context_length=sizes.context_length)
        self.tower = TextTransformer(
            context_length=sizes.context_length,
            vocab_size=sizes.vocab_size,
            width=sizes.width,
            heads=sizes.heads,
            layers=sizes.layers,
            pool_type="none",
            proj_type="none",
            act_layer=QuickGELU if sizes.quick_gelu else nn.GELU,
        )

    @torch.inference_mode()
    def encode(self, captions: Sequence[str]) -> Tensor:
        """Embeddings (N, context_length, width) in float32; on a GPU that has it computed in bfloat16, as published.

        Raises UserError for a caption with more words than the tower reads: nothing is cut off.
        """
        for caption in captions:
            self.check_length(caption)
        parts = [captions[start : start + BATCH] for start in range(0, len(captions), BATCH)]
        found = [self._states(part) for part in parts]
        return torch.cat(found) if found else self.null()[:0]

    def null(self) -> Tensor:
        """What stands for no caption (1, context_length, width): zeros, not the embedding of an empty text."""
        return torch.zeros(1, self.sizes.context_length, self.sizes.width, device=self._device)

    def _states(self, captions: Sequence[str]) -> Tensor:
        words = self.tokenizer(list(captions)).to(self._device)
        with _published_precision(self._device):
            return self.tower(words).float()

    def check_length(self, caption: str) -> None:
        """Raise UserError for a caption that would be cut off."""
        count, most = len(self.tokenizer.encode(caption)), self.sizes.context_length - MARKS
        if count > most:
            raise UserError(
                f"the caption has {count} tokens and the text encoder reads {most}",
                where=f"caption {caption!r}",
                fix="shorten it",
            )

    @property
    def _device(self) -> torch.device:
        return self.tower.token_embedding.weight.device


def load_text_encoder(path: Path, device: torch.device, sizes: TowerSizes = DFN5B) -> CaptionEncoder:
    """The text tower of a CLIP model, from its weights alone or from a folder in open_clip's `local-dir` layout.

    Raises UserError when there are no weights, or of another network than `sizes`.
    """
    file = path
    if path.is_dir():
        file = _weights_in(path)
        _check_config(path / CONFIG, sizes)
    require_recorded(file)
    encoder = CaptionEncoder(sizes)
    state = {name.removeprefix("text."): tensor for name, tensor in read_state(file).items()}
    load_strict(encoder.tower, state, str(file), ignore=ELSEWHERE)
    return encoder.eval().requires_grad_(False).to(device)


def _weights_in(folder: Path) -> Path:
    file = first_file(folder, TEXT_ENCODER_WEIGHTS)
    if file is None:
        raise UserError(
            "no weights of a text encoder are in the folder",
            where=str(folder),
            fix=f"put one of {', '.join(TEXT_ENCODER_WEIGHTS)} there, beside {CONFIG}",
        )
    return file


def _check_config(path: Path, sizes: TowerSizes) -> None:
    """Refuse another network by its configuration: two towers of equal shapes may differ in their activation."""
    found = _read_config(path)
    expected = sizes._asdict()
    other = [f"{name} is {found[name]}, not {expected[name]}" for name in expected if found[name] != expected[name]]
    unknown = sorted(found.keys() - expected.keys())
    if other or unknown:
        raise UserError(
            f"the folder holds another text encoder ({', '.join([*other, *unknown])})",
            where=str(path),
            fix="give the one that the model was trained with, DFN5B-CLIP-ViT-H-14-378 for MicroDiT",
        )


def _read_config(path: Path) -> Mapping[str, Any]:
    """The tower's entries of an open_clip configuration, with `quick_gelu` among them."""
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        found = {"quick_gelu": bool(model.get("quick_gelu", False)), **model["text_cfg"]}
        return {**dict.fromkeys(TowerSizes._fields), **found}
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "the file is no configuration of open_clip with a text tower",
            where=str(path),
            fix="download the folder again",
        ) from error


def _published_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()

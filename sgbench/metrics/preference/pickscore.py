"""PickScore's weights under open_clip's names: they are published under transformers', for open_clip's ViT-H-14."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Counters that old versions of transformers kept among the weights.
UNUSED = "embeddings.position_ids"
RENAMED = (
    (r"^text_model\.encoder\.layers\.", "transformer.resblocks."),
    (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
    (r"\.self_attn\.", ".attn."),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    (r"^text_model\.embeddings\.token_embedding\.weight$", "token_embedding.weight"),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "positional_embedding"),
    (r"^text_model\.final_layer_norm\.", "ln_final."),
    (r"^text_projection\.weight$", "text_projection"),
    (r"^vision_model\.embeddings\.class_embedding$", "visual.class_embedding"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "visual.conv1."),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "visual.positional_embedding"),
    # The name is misspelt in transformers.
    (r"^vision_model\.pre_layrnorm\.", "visual.ln_pre."),
    (r"^vision_model\.post_layernorm\.", "visual.ln_post."),
    (r"^visual_projection\.weight$", "visual.proj"),
)
TRANSPOSED = ("text_projection", "visual.proj")
QUERY = re.compile(r"^(.*\.attn\.)q_proj\.(weight|bias)$")


def open_clip_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of transformers' CLIPModel under open_clip's names; what is not one of its names stays as it is.

    open_clip keeps query, key and value in one matrix and projections transposed.
    """
    renamed = {_renamed(name): tensor for name, tensor in state.items() if not name.endswith(UNUSED)}
    for name in TRANSPOSED:
        if name in renamed:
            renamed[name] = renamed[name].T
    for query in [match for name in renamed if (match := QUERY.match(name))]:
        parts = [f"{query[1]}{part}_proj.{query[2]}" for part in "qkv"]
        if all(part in renamed for part in parts):
            renamed[f"{query[1]}in_proj_{query[2]}"] = torch.cat([renamed.pop(part) for part in parts])
    return renamed


def _renamed(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name

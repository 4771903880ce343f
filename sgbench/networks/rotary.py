"""Axial rotary positions of the tokens of a square grid."""

import torch
from torch import Tensor


def rotary_table(side: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (side * side, head_width) of the axial rotary embedding, rows in the first half."""
    pairs = head_width // 4
    frequency = 1.0 / 10000 ** (torch.arange(pairs, dtype=torch.float32) * 2 / (head_width // 2))
    angles = (torch.arange(side, dtype=torch.float32)[:, None] * frequency).repeat_interleave(2, dim=1)
    rows = angles[:, None].expand(side, side, -1)
    columns = angles[None].expand(side, side, -1)
    table = torch.cat([rows, columns], dim=-1).reshape(side * side, head_width)
    return table.cos(), table.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate neighbouring pairs of channels: x (B, heads, N, d), tables (N, d) or (B, 1, N, d)."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    return (x * cosines + turned * sines).to(x.dtype)

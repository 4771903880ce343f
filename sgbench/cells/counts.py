"""What a call costs, by what does the work. No torch."""

from __future__ import annotations

from typing import NamedTuple

# Width of the sinusoidal features of a timestep, in DiT and all that followed it.
TIME_FREQUENCIES = 256


class Macs(NamedTuple):
    """Multiply-accumulates by what does them; LayerNorm as normalised elements."""

    linear: int
    attention: int
    normalised: int

    @property
    def macs(self) -> int:
        return self.linear + self.attention + 4 * self.normalised

    @property
    def paper(self) -> int:
        return self.linear + 2 * self.normalised

    def plus(self, other: Macs) -> Macs:
        """Element-wise sum."""
        return Macs(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, count: int) -> Macs:
        """Every part `count` times."""
        return Macs(*(count * part for part in self))

"""Settings with a name: a rule with the values that a paper printed for it."""

from typing import Any, NamedTuple

from sgbench.guidance.schedules import GammaSchedule, Interval
from sgbench.guidance.settings import plain

SG_PAPER = "arXiv 2601.01608"


class Preset(NamedTuple):
    """A rule and the sweep keys that its name brings; the suite gives the others."""

    name: str
    rule: str
    settings: dict[str, Any]
    source: str
    note: str

    def as_dict(self) -> dict[str, Any]:
        """The preset as plain data, its settings as a suite takes them."""
        return {**self._asdict(), "settings": {key: plain(value) for key, value in self.settings.items()}}


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "sg_flops",
            "sg",
            {"gamma_strong": 0.5, "gamma_weak": 0.9},
            f"{SG_PAPER}, Table 2, SG_FLOPS",
            "the paper does not print w: give `scale`",
        ),
        Preset(
            "sg_fid",
            "ag+sg",
            {"gamma_strong": GammaSchedule("cosine", 0.0, 0.6), "gamma_weak": GammaSchedule("cosine", 0.6, 0.0)},
            f"{SG_PAPER}, Table 2, SG_FID",
            "the paper does not print w: give `scale`; its weak branch is the checkpoint of 50k iterations (2.5 %) of "
            "the same run, and its inverse of the cosine is read here as 0 to 0.6",
        ),
        Preset(
            "sg_t2i_hpsv3",
            "sg",
            {"gamma_strong": 0.1, "gamma_weak": 0.8, "scale": 1.8},
            f"{SG_PAPER}, Table 4",
            "50 Euler steps, 512 pixels, a text-to-image model of 2.5 billion parameters",
        ),
        Preset(
            "sg_t2i_geneval",
            "cfg+sg",
            {"gamma_strong": 0.2, "gamma_weak": 0.7, "scale": 2.5},
            f"{SG_PAPER}, Table 5",
            "50 Euler steps, 512 pixels; the scale of its CFG baseline is not printed",
        ),
        Preset(
            "pdg_sprint",
            "pdg",
            {"scale": 3.0},
            "Snap Research, SPRINT, example settings",
            "published with Euler-Maruyama, 250 steps, on SPRINT-XL/2",
        ),
        Preset(
            "self_guidance_prev",
            "previous-step",
            {"scale": 4.0, "interval": Interval("noise", 0.0, 0.5)},
            "arXiv 2412.05827, the authors' settings of SG-prev",
            "published with 28 steps on text-to-image models, on top of their CFG",
        ),
    )
}

"""Keys of references.bib for what is no rule, sampler, family, metric or network, which name their own. No torch."""

from __future__ import annotations

Works = tuple[str, ...]

PAPER: Works = ("krause2026sparseguidance",)

# What goes with any rule or sampler; the rest of the settings have no source of their own.
INTERVAL: Works = ("kynkaanniemi2024interval",)
RESCALE: Works = ("lin2024flawed",)
POWER_COSINE: Works = ("gao2023mdt",)
GROUPS: Works = ("park2025sprint",)
SHIFT: Works = ("esser2024sd3",)

# The project's own networks, by their architecture.
OWN_WORKS: dict[str, Works] = {
    "dit": ("peebles2023dit", "liu2023rectified"),
    "maskdit": ("zheng2024maskdit", "liu2023rectified"),
    "textdit": ("peebles2023dit", "liu2023rectified"),
}
ROUTES: Works = ("krause2025tread",)
LATENTS: Works = ("rombach2022ldm", "vonplaten2022diffusers")
PIPELINES: Works = ("vonplaten2022diffusers", "wolf2020transformers")
TEXT_ENCODER: Works = ("fang2024dfn", "ilharco2021openclip")


ERRORS: Works = ("efron1981jackknife",)
FRONTIERS: Works = ("satopaa2011kneedle", "zitzler1999hypervolume")
RANKINGS: Works = ("kendall1945ties",)
COMPARISONS: Works = ("holm1979procedure",)

SOFTWARE: Works = (
    "paszke2019pytorch",
    "fvcore",
    "harris2020numpy",
    "mckinney2010pandas",
    "hunter2007matplotlib",
    "satyanarayan2017vegalite",
)
SCORING: Works = ("virtanen2020scipy",)

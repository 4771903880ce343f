"""Which works stand behind what: keys of references.bib by the names that suites use. No torch."""

from __future__ import annotations

Works = tuple[str, ...]

PAPER: Works = ("krause2026sparseguidance",)

RULE_WORKS: dict[str, Works] = {
    "none": (),
    "cfg": ("ho2022cfg",),
    "icg": ("sadat2025icg",),
    "ag": ("karras2024autoguidance",),
    "sg": PAPER,
    "cfg+sg": (*PAPER, "ho2022cfg"),
    "ag+sg": (*PAPER, "karras2024autoguidance"),
    "pdg": ("park2025sprint",),
    "apg": ("sadat2025apg",),
    "cfg++": ("chung2025cfgpp",),
    "cfg-zero": ("fan2025cfgzero",),
    "tcfg": ("kwon2025tcfg",),
    "pag": ("ahn2024pag",),
    "seg": ("hong2024seg",),
    "slg": ("stability2024sd35", "hyung2025stg"),
    "s2": ("chen2025s2guidance",),
}

SAMPLER_WORKS: dict[str, Works] = {
    "euler": ("liu2023rectified",),
    "heun": ("liu2023rectified",),
    "euler-maruyama": ("ma2024sit", "park2025sprint"),
    "edm-heun": ("karras2022edm",),
    "ddim": ("song2021ddim",),
    "ddpm": ("ho2020ddpm", "nichol2021iddpm"),
}

# What goes with any rule or sampler; the rest of the settings have no source of their own.
INTERVAL: Works = ("kynkaanniemi2024interval",)
RESCALE: Works = ("lin2024flawed",)
POWER_COSINE: Works = ("gao2023mdt",)
GROUPS: Works = ("park2025sprint",)
SHIFT: Works = ("esser2024sd3",)

FAMILY_WORKS: dict[str, Works] = {
    "tread-dit": ("krause2025tread", "peebles2023dit"),
    "tread-sit": ("krause2025tread", "ma2024sit", *PAPER),
    "sprint": ("park2025sprint", "ma2024sit"),
    "maskdit": ("zheng2024maskdit",),
    "mdtv2": ("gao2023mdt",),
    "microdit": ("sehwag2025microdit",),
    "prx": ("photoroom2025prx",),
    "dit": ("peebles2023dit",),
    "sit": ("ma2024sit",),
    "repa-sit": ("yu2025repa", "ma2024sit"),
}
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

REFERENCE_WORKS: dict[str, Works] = {
    "fashion-mnist": ("xiao2017fashionmnist",),
    "imagenet-256": ("deng2009imagenet", "dhariwal2021adm"),
    "imagenet-512": ("deng2009imagenet", "dhariwal2021adm"),
}
PROMPT_WORKS: dict[str, Works] = {"geneval": ("ghosh2023geneval",), "hpsv2": ("wu2023hpsv2",)}

# A metric's kind, its network or judge, and what only a metric of that name rests on.
KIND_WORKS: dict[str, Works] = {
    "frechet": ("heusel2017fid",),
    "kid": ("binkowski2018kid",),
    "cmmd": ("jayasumana2024cmmd",),
    "inception_score": ("salimans2016inception",),
    "precision": ("kynkaanniemi2019precision",),
    "recall": ("kynkaanniemi2019precision",),
    "density": ("naeem2020density",),
    "coverage": ("naeem2020density",),
    "lpips": ("zhang2018lpips",),
    "label_agreement": (),
    "nearest_train": (),
    "composition": ("ghosh2023geneval",),
    "preference": (),
}
NETWORK_WORKS: dict[str, Works] = {
    "fashion-cnn": ("xiao2017fashionmnist",),
    "lite0": ("tan2019efficientnet", "deng2009imagenet", "wightman2019timm"),
    "inception": ("szegedy2016inception", "obukhov2020torchfidelity"),
    "inception-clean": ("szegedy2016inception", "obukhov2020torchfidelity", "parmar2022cleanfid"),
    "dinov2": ("oquab2024dinov2", "wightman2019timm"),
    "clip": ("radford2021clip", "ilharco2021openclip"),
    "lpips": ("simonyan2015vgg", "obukhov2020torchfidelity"),
    "drawn": (),
    "geneval": ("cheng2022mask2former", "wolf2020transformers", "radford2021clip", "ilharco2021openclip"),
    "hpsv2": ("wu2023hpsv2", "ilharco2021openclip"),
    "hpsv2.1": ("wu2023hpsv2", "ilharco2021openclip"),
    "hpsv2-package": ("wu2023hpsv2",),
    "clipscore": ("hessel2021clipscore", "radford2021clip", "ilharco2021openclip"),
    "pickscore": ("kirstain2023pickscore", "ilharco2021openclip"),
    "imagereward": ("xu2023imagereward",),
    "hpsv3": ("ma2025hpsv3",),
}
METRIC_WORKS: dict[str, Works] = {"sfid": ("nash2021sfid",), "fd_dinov2": ("stein2023exposing",)}

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

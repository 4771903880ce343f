"""Metrics and extractors of a user's own file: what the harness makes of a function, and what it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import NoScoreError, UserError
from sgbench.base.progress import Silent
from sgbench.cells.prompts import from_records
from sgbench.images.sets import ImageSetInfo, NpzImages, info_of
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.metric import FeatureMetric, Fields
from sgbench.metrics.numerics.frechet import fit, frechet_estimate, prepare_target
from sgbench.metrics.numerics.values import image_fields, image_values
from sgbench.metrics.protocols import protocol
from sgbench.metrics.references.build import build_reference
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.scores import METRICS
from sgbench.metrics.weights import to_load
from sgbench.score.set_scorer import SetScorer
from sgbench.stats.estimates import group_bounds, jackknife, mean_estimate

pytestmark = pytest.mark.usefixtures("own_code", "own_cache")
CPU = torch.device("cpu")

BRIGHT = """
from sgbench.metrics.metric import ImageMetric


def brightness(images):
    "Mean level of an image."
    return images.mean(axis=(1, 2, 3))


METRIC = ImageMetric("brightness", "brightness", "higher", values=brightness)
"""
COLOURS = """
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.metric import ImageMetric, SetMetric


def load(files, device):
    return lambda images: images.mean(dim=(2, 3))


def spread(features, real):
    "Spread of colours over that of real images."
    return features.std(axis=0).mean() / real.std(axis=0).mean()


def off(features, mean, covariance):
    return ((features - mean) ** 2).sum(axis=1)


EXTRACTOR = Extractor("colours", side=8, range="0..1", widths={"features": 3}, load=load)
METRIC = SetMetric("spread", "spread", "higher", extractor=EXTRACTOR, needs="features", value=spread)
OFF = ImageMetric("off", "off", "lower", extractor=EXTRACTOR, needs="mean", values=off)
"""
Bring = Callable[..., str]


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Write a file, and bring one of its things; its name."""

    def write(text: str, name: str = "METRIC", measured: str = "") -> str:
        (tmp_path / "mine.py").write_text(text)
        return METRICS.bring(f"{measured}mine.py:{name}", tmp_path, "x.yaml: metrics[0]")

    return write


@pytest.fixture
def images(tmp_path: Path) -> NpzImages:
    """40 images of 16 pixels whose colours differ, with labels."""
    return npz(tmp_path / "images.npz", 0)


def npz(path: Path, seed: int, count: int = 40, channels: int = 3) -> NpzImages:
    rng = np.random.default_rng(seed)
    tint = rng.integers(0, 128, (count, 1, 1, channels))
    pixels = (tint + rng.integers(0, 128, (count, 16, 16, channels))).astype(np.uint8)
    np.savez(path, arr_0=pixels, arr_1=np.arange(count) % 4)
    return NpzImages(path)


def score(metric: str, images: NpzImages, reference: str = "") -> Fields:
    with SetScorer([metric], reference, "reference", CPU, Silent()) as scorer:
        scores, failure = scorer.score(images, info_of(images), [metric])
    if failure is not None:
        raise failure
    return scores[metric]


def pixels_of(images: NpzImages) -> np.ndarray:
    return np.concatenate(list(images.parts()))


def test_a_value_of_each_image_gets_its_mean_error_and_replicates(bring: Bring, images: NpzImages) -> None:
    found = score(bring(BRIGHT), images)
    each = pixels_of(images).astype(np.float64).mean(axis=(1, 2, 3))
    assert found["value"] == pytest.approx(each.mean())
    assert found["standard_error"] == pytest.approx(each.std(ddof=1) / np.sqrt(40))
    without = [np.delete(each, slice(*bounds)).mean() for bounds in group_bounds(40)]
    assert found["replicates"] == pytest.approx(without)


def test_images_of_one_prompt_are_one_observation() -> None:
    texts = ("cat", "cow", "dog", "duck")
    prompts = from_records("four", [{"prompt": f"a {name}", "group": name[0]} for name in texts], "x")
    values = np.random.default_rng(0).normal(size=40) + np.arange(40) % 4
    labels = np.arange(40) % 4
    found = image_fields(values, ImageSetInfo("x", 40, "balanced", "uint8", labels, prompts))
    clustered = mean_estimate(values, labels)
    assert found["value"] == pytest.approx(clustered.value)
    assert found["standard_error"] == pytest.approx(clustered.standard_error)
    assert found["standard_error"] > 2 * image_fields(values, ImageSetInfo("x", 40, "", "", None))["standard_error"]
    assert {name: group["images"] for name, group in found["groups"].items()} == {"c": 20, "d": 20}


def test_a_value_of_a_set_gets_a_jackknife(bring: Bring, images: NpzImages, tmp_path: Path) -> None:
    npz(tmp_path / "real.npz", 1)
    found = score(bring(COLOURS), images, str(tmp_path / "real.npz"))
    loaded = load_extractor("colours", CPU)
    ours, real = (
        loaded(one.parts(), "x")["features"].astype(np.float64) for one in (images, NpzImages(tmp_path / "real.npz"))
    )

    def spread(x: np.ndarray) -> float:
        return float(x.std(axis=0).mean() / real.std(axis=0).mean())

    expected = jackknife(spread(ours), [spread(np.delete(ours, slice(*b), axis=0)) for b in group_bounds(40)])
    assert found["value"] == pytest.approx(expected.value, rel=1e-5)
    assert found["standard_error"] == pytest.approx(expected.standard_error, rel=1e-4)
    off = score(bring(COLOURS, "OFF"), images, str(tmp_path / "real.npz"))
    assert off["value"] == pytest.approx(((ours - real.mean(axis=0)) ** 2).sum(axis=1).mean(), rel=1e-5)


def test_every_portable_metric_is_measured_in_a_users_extractor(
    bring: Bring, images: NpzImages, tmp_path: Path
) -> None:
    npz(tmp_path / "real.npz", 1)
    for key in [key for key, metric in METRICS.items() if metric.portable and metric.output == "features"]:
        name = bring(COLOURS, "EXTRACTOR", f"{key}@")
        assert name == f"{key}_colours"
        metric = METRICS[name]
        assert metric.title.endswith("[colours]")
        assert not {"FID", "KID"} & set(metric.title.replace("[", " ").split())
        assert np.isfinite(score(name, images, str(tmp_path / "real.npz"))["value"])
    loaded = load_extractor("colours", CPU)
    ours, real = (loaded(one.parts(), "x")["features"] for one in (images, NpzImages(tmp_path / "real.npz")))
    expected = frechet_estimate(ours, prepare_target(fit(real)))
    assert score("fd_colours", images, str(tmp_path / "real.npz"))["value"] == pytest.approx(expected.value)


def test_the_code_is_part_of_the_protocol(bring: Bring, images: NpzImages, tmp_path: Path) -> None:
    npz(tmp_path / "real.npz", 1)
    reference = load_reference(str(tmp_path / "real.npz"))
    for text, measured, thing in ((BRIGHT, "", "METRIC"), (COLOURS, "", "METRIC"), (COLOURS, "fd@", "EXTRACTOR")):
        ids = {protocol(bring(t, thing, measured), info_of(images), reference).id for t in (text, text + "\n# again\n")}
        assert len(ids) == 2
    (tmp_path / "w.bin").write_bytes(b"1")
    with_file = COLOURS.replace("load=load", "load=load, files=(__file__.replace('mine.py', 'w.bin'),)")
    name = bring(with_file, "EXTRACTOR", "fd@")
    before = protocol(name, info_of(images), reference).id
    (tmp_path / "w.bin").write_bytes(b"2")
    assert protocol(name, info_of(images), reference).id != before
    (tmp_path / "w.bin").unlink()
    with pytest.raises(UserError, match=r"mine.py:EXTRACTOR: the extractor colours has no file .*w.bin"):
        protocol(name, info_of(images), reference)


def test_weights_lie_beside_the_code_wherever_one_works(
    bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.bin").write_bytes(b"1")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for thing, measured in (("EXTRACTOR", "fd@"), ("METRIC", "")):
        bring(COLOURS.replace("load=load", "load=load, files=('w.bin',)"), thing, measured)
        assert to_load(EXTRACTORS["colours"]) == [tmp_path / "w.bin"]


@pytest.mark.parametrize("function", ["np.linalg.cholesky", "functools.partial(int)"])
def test_what_fails_without_a_line_of_the_users_names_their_file(
    function: str, bring: Bring, images: NpzImages, tmp_path: Path
) -> None:
    imports = "import functools; import numpy as np; from sgbench.metrics.metric import ImageMetric\n"
    bring(f'{imports}METRIC = ImageMetric("odd", "odd", "lower", values={function})\n')
    with pytest.raises(UserError, match=rf"mine.py:METRIC: the metric odd fails in {tmp_path}/mine.py \("):
        image_values(METRICS["odd"], next(iter(images.parts())), (), "x")


RANGES = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1), "imagenet": (-2.1179, 2.64)}


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_gets_what_its_extractor_declares(kind: str, channels: int, bring: Bring, tmp_path: Path) -> None:
    """Black and white, resized: the extremes stay those of the range, and grey becomes three equal channels."""
    returned = "torch.stack([x.amin(dim=(2, 3))[:, 0], x.amax(dim=(2, 3))[:, 2], *x.shape[2:] * x.new_ones(2)], dim=1)"
    look = f"def load(files, device):\n    return lambda x: {returned}\n"
    look = look.replace("*x.shape[2:] * x.new_ones(2)", "*(x.new_full((len(x),), side) for side in x.shape[2:])")
    made = f'EXTRACTOR = Extractor("look", side=24, range="{kind}", widths={{"features": 4}}, load=load)\n'
    (tmp_path / "mine.py").write_text(f"import torch\nfrom sgbench.metrics.instrument import Extractor\n{look}{made}")
    EXTRACTORS.bring("mine.py:EXTRACTOR", tmp_path, "x")
    pixels = np.zeros((3, 16, 16, channels), np.uint8)
    pixels[:, 8:] = 255
    found = load_extractor("look", CPU)([pixels], "x")["features"]
    assert found == pytest.approx(np.tile([*RANGES[kind], 24, 24], (3, 1)), abs=1e-3)
    assert "24 x 24" in EXTRACTORS["look"].inputs


def test_a_reference_is_built_for_a_users_extractor(bring: Bring, images: NpzImages, tmp_path: Path) -> None:
    npz(tmp_path / "real.npz", 1)
    (tmp_path / "mine.py").write_text(COLOURS)
    here = [f"{tmp_path}/mine.py:EXTRACTOR"]
    made = build_reference(str(tmp_path / "real.npz"), tmp_path / "built", here, tmp_path, CPU, Silent())
    assert sorted(made.card["parts"]) == ["colours-features"]
    name = METRICS.bring(f"fd@{here[0]}", tmp_path, "x")
    built, direct = (score(name, images, str(tmp_path / where)) for where in ("built", "real.npz"))
    assert built["value"] == direct["value"]
    # Another version of the code has other features.
    METRICS.bring(f"fd@{here[0]}", tmp_path, "x")
    (tmp_path / "mine.py").write_text(COLOURS.replace("(2, 3)", "(3, 2)"))
    METRICS.bring(f"fd@{here[0]}", tmp_path, "x")
    with pytest.raises(UserError, match="other weights of colours, or with other code; build the reference again"):
        score(name, images, str(tmp_path / "built"))
    with pytest.raises(UserError, match=r"no moments of colours; .*--extractors .*mine.py:EXTRACTOR --out"):
        load_reference("fashion-mnist").require("colours", "features", "mean")


def test_drawn_shapes_are_a_reference_without_files(bring: Bring) -> None:
    name = bring(COLOURS, "EXTRACTOR", "fd@")
    reference = load_reference("shapes")
    reference.require("colours", "features", "features", lambda extractor: load_extractor(extractor, CPU))
    assert (reference.side, reference.channels, reference.card["images"]) == (32, 3, 2000)
    assert reference.features("colours", "features").shape == (2000, 3)
    assert np.diag(reference.moments("colours", "features").covariance).min() > 0
    assert METRICS[name].title == "FD[colours]"


GIVEN = {
    r"metric brightness .*mine.py, line 5\) gives float64 of shape \(16, 3\) for 40 images, and needs one number for": (
        "return images.mean(axis=(0, 1))"
    ),
    r"gives nan for 2 of 40 images": "return [float('nan') if i < 2 else 1.0 for i in range(len(images))]",
    r"gives <U1 of shape \(40,\) for 40 images": "return ['a'] * len(images)",
    r"brightness fails in .*mine.py, line 7 \(ZeroDivisionError": "return 1 / 0",
}


@pytest.mark.parametrize("what", GIVEN)
def test_values_that_are_none_are_told_in_a_sentence(what: str, bring: Bring, images: NpzImages) -> None:
    name = bring(BRIGHT.replace("return images.mean(axis=(1, 2, 3))", GIVEN[what]))
    with pytest.raises(NoScoreError, match=what):
        score(name, images)


FEATURES = {
    r"colours\): gives features of shape \(.*, 16, 16\) for .*, and declares 3 values": (
        "images.mean(dim=1)",
        3,
    ),
    r"colours\): gives no tensor 'features'": ("{'other': images}", 3),
    r"colours\): gives features of shape \(.*, 3\) .*declares 4": ("images.mean(dim=(2, 3))", 4),
    r"colours gives values that are not finite for 40 images": ("images.mean(dim=(2, 3)) / 0", 3),
    r"colours fails in .*mine.py, line 7 \(AttributeError": ("images.nothing()", 3),
}


@pytest.mark.parametrize("what", FEATURES)
def test_features_that_are_none_are_told_in_a_sentence(
    what: str, bring: Bring, images: NpzImages, tmp_path: Path
) -> None:
    returned, width = FEATURES[what]
    text = COLOURS.replace("images.mean(dim=(2, 3))", returned).replace("side=8, ", "")
    name = bring(
        text.replace('"features": 3', f'"features": {width}')
        .replace('needs="features", ', "")
        .replace("features, real", "features")
        .replace(" / real.std(axis=0).mean()", "")
    )
    with pytest.raises(NoScoreError, match=what):
        score(name, images)


def test_a_metric_that_fails_leaves_others_theirs(bring: Bring, images: NpzImages, tmp_path: Path) -> None:
    good = bring(BRIGHT)
    (tmp_path / "bad.py").write_text(BRIGHT.replace('"brightness"', '"bad"').replace("(1, 2, 3)", "7"))
    bad = METRICS.bring("bad.py:METRIC", tmp_path, "x")
    with SetScorer([bad, good], "", "reference", CPU, Silent()) as scorer:
        scores, failure = scorer.score(images, info_of(images), [bad, good])
    assert list(scores) == [good]
    assert failure is not None
    assert "the metric bad fails" in str(failure)


FAULTS = {
    r"'better', which|'up' is not a known value": BRIGHT.replace('"higher"', '"up"'),
    r"is called fd, which is the name of a metric of sgbench": BRIGHT.replace('"brightness", "', '"fd", "'),
    r"fd_se, the key of mine.py:METRIC, is called as a column": BRIGHT.replace('"brightness", "', '"fd_se", "'),
    r"scale, the key of mine.py:METRIC, is called as a column": BRIGHT.replace('"brightness", "', '"scale", "'),
    r"has the title 'FID', which is that of fid": BRIGHT.replace('", "brightness"', '", "FID"'),
    r"needs a function, not a int": BRIGHT.replace("values=brightness", "values=3"),
    r"there is no extractor 'lite1', did you mean 'lite0'": BRIGHT.replace("values=", 'extractor="lite1", values='),
    r"uses the output 'logits', and the extractor lite0 has features": BRIGHT.replace(
        "values=", 'extractor="lite0", output="logits", values='
    ),
    r"needs mean of the reference: it needs an extractor": BRIGHT.replace("values=", 'needs="mean", values='),
    r"a SetMetric is a value of features: it needs an extractor": BRIGHT.replace("ImageMetric", "SetMetric").replace(
        "values=", "value="
    ),
    r"channels are 1 \(grey\) or 3 \(RGB\), not 4": COLOURS.replace("side=8", "channels=4"),
    r"'0-1' is not a known value": COLOURS.replace("0..1", "0-1"),
    r"is called lite0, which is the name of a extractor of sgbench": COLOURS.replace('"colours"', '"lite0"'),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_wrong_in_a_file_is_told_before_anything_runs(what: str, bring: Bring) -> None:
    with pytest.raises(UserError, match=what) as caught:
        bring(FAULTS[what])
    assert "mine.py" in str(caught.value)


def test_what_may_stand_before_the_at(bring: Bring, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no metric for every extractor 'fid', did you mean 'fd'"):
        bring(COLOURS, "EXTRACTOR", "fid@")
    with pytest.raises(UserError, match=r"uses the output 'classes', and the extractor colours has features"):
        bring(COLOURS, "EXTRACTOR", "label_agreement@")
    with pytest.raises(UserError, match="names a metric, not a extractor"):
        EXTRACTORS.bring("fd@mine.py:EXTRACTOR", tmp_path, "x")


def test_colour_is_never_made_grey(bring: Bring, images: NpzImages) -> None:
    name = bring(
        COLOURS.replace("side=8", "side=8, channels=1")
        .replace('needs="features", ', "")
        .replace("features, real", "features")
        .replace(" / real.std(axis=0).mean()", "")
    )
    with pytest.raises(NoScoreError, match="colours takes grey images, and these are 16 x 16 with 3 channels"):
        score(name, images)


def test_all_metrics_and_extractors_are_declared() -> None:
    """No key is a column of another metric, no title stands for two, and every output is one that is declared."""
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)
    for key, metric in METRICS.items():
        METRICS._check_names(metric, key, "x")
        assert metric.better or not metric.quality
        extractor = EXTRACTORS.get(metric.extractor)
        if extractor is not None and isinstance(metric, FeatureMetric):
            assert metric.output in extractor.widths
    for extractor in EXTRACTORS.values():
        assert extractor.inputs
        assert len(inspect.signature(extractor.load).parameters) >= 2

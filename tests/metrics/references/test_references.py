"""References: packaged, built of images, read from ADM's npz; their digests, their parts, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.metrics import weights
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.numerics.frechet import Target, fit, prepare_target
from sgbench.metrics.references import parts
from sgbench.metrics.references.build import build_fashion, build_reference
from sgbench.metrics.references.catalogue import CARD, check_name, home_of, packaged_folder, side_of
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.parts import pack, quantise, unpack
from sgbench.metrics.references.reference import Reference, floor
from sgbench.zoo import data

CPU = torch.device("cpu")
Folder = Callable[..., Path]


def build(source: Path, out: Path, extractors: str = "lite0") -> Reference:
    return build_reference(str(source), out, extractors.split(","), Path("data"), CPU, Silent())


def adm_npz(path: Path, images: int = 24, moments: bool = True, side: int = 32) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {"arr_0": rng.integers(0, 256, (images, side, side, 3), dtype=np.uint8)}
    if moments:
        spread = rng.normal(size=(3000, 2048)) * 0.3
        arrays |= {"mu": spread.mean(0), "sigma": np.cov(spread, rowvar=False)}
        arrays |= {"mu_s": spread[:, :2023].mean(0), "sigma_s": np.cov(spread[:, :2023], rowvar=False)}
    np.savez(path, allow_pickle=False, **arrays)
    return path


@pytest.mark.slow
def test_the_packaged_reference_is_what_its_card_says() -> None:
    reference = load_reference("fashion-mnist")
    assert reference.sha256 == data.DIGEST
    moments = reference.moments("fashion-cnn", "features")
    assert moments.covariance.shape == (96, 96)
    assert reference.features("fashion-cnn", "features").shape == (10_000, 96)
    assert reference.training("fashion-cnn", "features").shape == (60_000, 96)
    # The quantised training features have the moments that were taken before.
    again = fit(reference.training("fashion-cnn", "features"))
    assert np.abs(again.mean - moments.mean).max() < 1e-3
    assert reference.moments("lite0", "features").covariance.shape == (1280, 1280)
    for extractor in ("fashion-cnn", "lite0"):
        assert prepare_target(reference.moments(extractor, "features")).triangular
        assert reference.card["parts"][f"{extractor}-features"]["extractor_id"] == weights.extractor_id(extractor)
    assert reference.features("lite0", "features").shape == (2000, 1280)
    assert np.bincount(reference.labels("lite0", "features")).tolist() == [200] * 10
    with pytest.raises(UserError, match=r"the reference fashion-mnist has no features of training images of lite0"):
        reference.training("lite0", "features")


@pytest.mark.slow
def test_floor_falls_with_the_number_of_images_and_with_balance() -> None:
    reference = load_reference("fashion-mnist")
    target = prepare_target(reference.moments("fashion-cnn", "features"))

    def at(samples: int, policy: str) -> float:
        found = floor(reference, "fashion-cnn", target, samples, policy)
        assert found is not None
        return found[0]

    assert 0 < at(2000, "balanced") < at(200, "balanced") < at(200, "random")
    whole = floor(reference, "fashion-cnn", target, 10_000, "random")
    assert whole is not None
    assert whole[1] is None
    # Balanced sets end when one class runs out.
    for samples, policy in ((10_000, "balanced"), (10_001, "random")):
        assert floor(reference, "fashion-cnn", target, samples, policy) is None


@pytest.mark.parametrize(
    ("extractor", "samples", "policy", "sets"),
    [
        ("fashion-cnn", 200, "balanced", 20),
        ("fashion-cnn", 2000, "balanced", 4),
        ("fashion-cnn", 2000, "random", 5),
        ("lite0", 900, "balanced", 2),
    ],
)
def test_the_floor_is_the_mean_over_disjoint_sets(
    monkeypatch: pytest.MonkeyPatch, extractor: str, samples: int, policy: str, sets: int
) -> None:
    seen: list[NDArray[np.float32]] = []

    def distance(features: NDArray[np.float32], target: Target) -> float:
        seen.append(features)
        return float(len(seen))

    monkeypatch.setattr("sgbench.metrics.references.reference.frechet_value", distance)
    reference = load_reference("fashion-mnist")
    target = prepare_target(reference.moments(extractor, "features"))
    found = floor(reference, extractor, target, samples, policy)
    assert found == (np.mean(np.arange(1, sets + 1)), np.std(np.arange(1, sets + 1), ddof=1))
    assert [len(features) for features in seen] == [samples] * sets
    assert len(np.unique(np.concatenate(seen), axis=0)) > 0.99 * samples * sets


def test_a_reference_of_another_extractor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(packaged_folder(), tmp_path / "copy")
    card = json.loads((tmp_path / "copy" / CARD).read_text())
    card["parts"]["fashion-cnn-features"]["extractor_id"] = "0" * 16
    (tmp_path / "copy" / CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match="made with other weights of fashion-cnn"):
        Reference(tmp_path / "copy").require("fashion-cnn", "features", "mean")


def test_a_damaged_part_is_refused(tmp_path: Path) -> None:
    shutil.copytree(packaged_folder(), tmp_path / "copy")
    part = tmp_path / "copy" / "lite0-features.safetensors"
    part.write_bytes(part.read_bytes()[:-4])
    with pytest.raises(UserError, match=rf"{part}: the part of the reference is missing or damaged \(its sha256"):
        Reference(tmp_path / "copy").moments("lite0", "features")


@pytest.mark.full
def test_fashion_mnist_is_built_as_the_package_has_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    split = data.Split(rng.integers(0, 256, (300, 32, 32), dtype=np.uint8), np.arange(300) % 10)
    small = data.Split(split.images[:100], split.labels[:100])
    made = build_fashion(split, small, tmp_path / "out", ["fashion-cnn", "lite0"], CPU, packaged=True)
    assert set(made.card["parts"]) == {"fashion-cnn-features", "lite0-features"}
    assert made.has("fashion-cnn", "features", "training")
    assert not made.has("lite0", "features", "training")
    full = build_fashion(split, small, tmp_path / "full", ["lite0"], CPU)
    assert full.features("lite0", "features").shape == (100, 1280)


@pytest.mark.slow
def test_a_folder_is_built_once_and_read_back(image_folder: Folder, tmp_path: Path) -> None:
    source = image_folder("real", 30)
    made = build(source, tmp_path / "out")
    again = load_reference(str(tmp_path / "out"))
    assert again.features("lite0", "features").shape == (30, 1280)
    assert again.side == side_of(str(tmp_path / "out")) == 32
    assert again.home == home_of(str(tmp_path / "out")) == "inception"
    # The digest is that of the pictures: other names, the same reference.
    (source / "0.png").rename(source / "zzz.png")
    assert build(source, tmp_path / "other").sha256 == made.sha256 == again.sha256
    (source / "zzz.png").unlink()
    assert build(source, tmp_path / "fewer").sha256 != made.sha256


@pytest.mark.full
def test_an_npz_with_moments_keeps_them_and_adds_features_of_its_images(tmp_path: Path, random_inception: Path) -> None:
    path = adm_npz(tmp_path / "batch.npz")
    reference = load_reference(str(path))
    with np.load(path) as stored:
        found = reference.moments("inception", "features")
        assert np.array_equal(found.mean, stored["mu"])
        assert np.allclose(found.covariance, stored["sigma"], rtol=1e-15)
        assert np.array_equal(reference.moments("inception", "spatial").mean, stored["mu_s"])
    made = build(path, tmp_path / "out", "inception")
    assert made.features("inception", "features").shape == (24, 2048)
    assert np.array_equal(made.moments("inception", "features").mean, found.mean)
    assert made.describe("inception", "features", "mean") == "batch, moments as stored in the file"
    assert made.describe("inception", "features", "features") == "batch, 24 images"


@pytest.mark.slow
def test_moments_alone_are_a_reference_for_distances(tmp_path: Path) -> None:
    path = tmp_path / "stats.npz"
    np.savez(path, mu=np.zeros(2048), sigma=np.eye(2048))
    reference = load_reference(str(path))
    assert np.array_equal(reference.moments("inception", "features").covariance, np.eye(2048))
    with pytest.raises(UserError, match="has no features of inception"):
        reference.features("inception", "features")


EYE = np.eye(2048)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mu": np.zeros(2048), "sigma": np.where(EYE, np.nan, 0)}, "mu or sigma has values that are not finite"),
        (
            {"mu": np.zeros(4), "sigma": np.eye(4)},
            "mu and sigma have shapes (4,) and (4, 4), and features of inception",
        ),
        ({"mu": np.zeros(2048), "sigma": np.eye(7)}, "mu and sigma have shapes (2048,) and (7, 7)"),
        ({"mu": np.zeros(2048), "sigma": EYE + np.tri(2048, k=-1)}, "sigma is not symmetric"),
        ({"mu": np.zeros(2048), "sigma": -EYE}, "sigma has negative variances"),
        ({"mu": np.array(["a"]), "sigma": EYE}, "mu holds <U1, not numbers"),
        ({"other": np.zeros(4)}, "the npz holds neither images (arr_0) nor moments (mu, sigma)"),
    ],
    ids=["nan", "width", "two widths", "lopsided", "negative", "text", "neither"],
)
def test_npz_files_that_are_no_references(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(UserError) as caught:
        load_reference(str(path))
    assert str(caught.value).startswith(f"{path}: {said}")


@pytest.mark.slow
def test_a_folder_of_another_reference_is_not_built_into(image_folder: Folder, tmp_path: Path) -> None:
    first, second = image_folder("a", 24), image_folder("b", 30, seed=1)
    build(first, tmp_path / "out")
    with pytest.raises(UserError, match=r"out: the folder holds a reference of other images \(a\); choose another"):
        build(second, tmp_path / "out", "lite0")
    assert Reference(tmp_path / "out").card["images"] == 24


@pytest.mark.slow
def test_a_damaged_kept_part_is_made_again(image_folder: Folder) -> None:
    def require(reference: Reference) -> np.ndarray:
        reference.require("lite0", "features", "features", lambda name: load_extractor(name, CPU))
        return reference.features("lite0", "features")

    folder = str(image_folder("real"))
    before = require(load_reference(folder))
    (part,) = load_reference(folder).folder.glob("*.safetensors")
    part.write_bytes(part.read_bytes()[:-7])
    assert np.array_equal(require(load_reference(folder)), before)


def test_a_kept_reference_goes_by_the_name_it_is_asked_for(image_folder: Folder) -> None:
    first = image_folder("a")
    assert load_reference(str(first)).name == "a"
    first.rename(first.with_name("b"))
    assert load_reference(str(first.with_name("b"))).name == "b"


def test_an_empty_reference(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: there are no images in the folder"):
        load_reference(str(tmp_path / "empty"))


@pytest.mark.slow
def test_a_reference_whose_images_never_change(tmp_path: Path) -> None:
    pixels = np.zeros((30, 32, 32, 3), np.uint8)
    pixels[:, :4] = 200
    np.savez(tmp_path / "same.npz", arr_0=pixels)
    with pytest.raises(UserError, match="all 30 real images have the same features"):
        build(tmp_path / "same.npz", tmp_path / "out")


def test_names_are_suggested_and_places_named() -> None:
    with pytest.raises(UserError, match=r"there is no reference 'imagenet-265', did you mean 'imagenet-256'\?"):
        check_name("imagenet-265", "--reference")
    with pytest.raises(UserError, match=r"imagenet-256 is not on this machine .* run `sgbench reference fetch"):
        load_reference("imagenet-256")
    with pytest.raises(UserError, match="there is no reference at no/where"):
        load_reference("no/where")
    with pytest.raises(UserError, match=r"there is no extractor 'lite', did you mean 'lite0'\?"):
        build(Path("anything"), Path("out"), "lite")
    with pytest.raises(UserError, match="nowhere: there is no such folder, npz or dataset"):
        build(Path("nowhere"), Path("out"))


def test_a_full_disk_is_one_sentence(image_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(path: Path, payload: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts, "write_atomic", full)
    with pytest.raises(UserError, match=r"could not be written \(No space left on device\); make room"):
        build(image_folder("real"), tmp_path / "out")


def test_packing_and_quantising_give_back_what_went_in() -> None:
    rng = np.random.default_rng(0)
    matrix = np.cov(rng.normal(size=(50, 7)), rowvar=False)
    assert np.array_equal(unpack(pack(matrix)), matrix)
    features = rng.gamma(2, size=(100, 7)).astype(np.float32)
    features[:, 3] = 0
    levels, step = quantise(features)
    assert np.abs(levels * step - features).max() <= features.max() / 510 + 1e-6

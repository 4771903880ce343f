"""The detector on the real class with random weights, and its post-processing against a slow reference."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import COCO_CLASSES
from sgbench.metrics.judges.mask2former import (
    Detector,
    at_size,
    box_of,
    check_classes,
    instances,
    load,
    prepared,
    resized,
)

CPU = torch.device("cpu")
# As transformers' folders have them: COCO's names where GenEval's differ.
HUB_NAMES = [
    {"computer mouse": "mouse", "tv remote": "remote", "computer keyboard": "keyboard"}.get(n, n) for n in COCO_CLASSES
]


def configuration(names: list[str], queries: int = 7) -> Mask2FormerConfig:
    backbone = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    return Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=queries,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )


def save(folder: Path, names: list[str]) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Mask2FormerForUniversalSegmentation(configuration(names)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("mask2former"), HUB_NAMES)


def images(count: int, height: int, width: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def logits(queries: int = 6, side: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    classes = 3 * torch.randn(queries, 81, generator=generator)
    masks = torch.randn(queries, side, side + 2, generator=generator)
    masks[2] = -1
    masks[4] = -1
    masks[4, 3:5, 6] = 2
    return classes, masks


@pytest.mark.slow
def test_a_saved_network_detects_as_it_did(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and every object is the network's own, seen at 64 x 96 from 32 x 48 pixels."""
    detector = load(saved, CPU)
    assert capfd.readouterr() == ("", "")
    detector.short, detector.long = 64, 200
    picture = images(1, 32, 48)[0]
    [found] = detector([picture])
    assert len(found) == 100
    network = Mask2FormerForUniversalSegmentation.from_pretrained(saved, local_files_only=True).eval()
    pixels = F.interpolate(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), size=(64, 96), mode="bilinear")
    mean, deviation = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        outputs = network(pixel_values=(pixels.round() / 255 - mean) / deviation)
        masks = F.interpolate(outputs.masks_queries_logits, size=(64, 96), mode="bilinear")
        masks = F.interpolate(masks, size=(32, 48), mode="bilinear")[0]
    expected = reference(outputs.class_queries_logits[0], masks)
    for ours, (name, score, mask) in zip(ordered(found), expected, strict=True):
        assert (ours.name, ours.score) == (name, pytest.approx(score, abs=1e-5))
        assert ours.mask is not None
        assert (ours.mask != mask).mean() < 0.01


def reference(classes: Tensor, masks: Tensor) -> list[tuple[str, float, np.ndarray]]:
    """Every pair of query and class by itself, pixel by pixel in plain numbers; the 100 likeliest, best first."""
    pairs = []
    for query, (row, mask) in enumerate(zip(classes.double().numpy(), masks.double().numpy(), strict=True)):
        powers = np.exp(row - row.max())
        inside = [1 / (1 + np.exp(-value)) for value in mask.flat if value > 0]
        quality = sum(inside) / len(inside) if inside else 0.0
        for number in range(80):
            likely = powers[number] / powers.sum()
            pairs.append((likely, likely * quality, query, COCO_CLASSES[number]))
    best = sorted(sorted(pairs, reverse=True)[:100], key=lambda pair: -pair[1])
    return [(name, score, (masks[query] > 0).numpy()) for _, score, query, name in best]


def ordered(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda d: -d.score)


def test_post_processing_is_the_slow_reference() -> None:
    classes, masks = logits()
    found = ordered(instances(classes, masks))
    expected = reference(classes, masks)
    assert len(found) == len(expected) == 100
    silent = [d for d in found if d.score == 0]
    assert silent
    assert all(d.box == (0, 0, 0, 0) for d in silent)
    # Objects without a pixel all score zero, in any order.
    for ours, (name, score, mask) in zip(found[: -len(silent)], expected, strict=False):
        assert (ours.name, ours.score) == (name, pytest.approx(score, rel=1e-4))
        assert np.array_equal(ours.mask, mask)
    assert {d.name for d in silent} == {name for name, score, _ in expected if score == 0}


def test_no_object_takes_its_share_of_the_probability() -> None:
    """Two classes and `no object` alike: a third each, times a mask that is surely there."""
    classes = torch.full((1, 81), -100.0)
    classes[0, [16, 17, 80]] = 0
    masks = torch.full((1, 4, 4), -50.0)
    masks[0, 1:3, 2:] = 50
    best = ordered(instances(classes, masks))[:2]
    assert {d.name for d in best} == {"dog", "horse"}
    for found in best:
        assert found.score == pytest.approx(1 / 3, rel=1e-5)
        assert found.box == (2, 1, 4, 3)


def test_boxes_hold_their_masks() -> None:
    mask = np.zeros((5, 7), dtype=bool)
    assert box_of(mask) == (0, 0, 0, 0)
    mask[3, 1] = mask[1, 6] = True
    assert box_of(mask) == (1, 1, 7, 4)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(256, 256, (800, 800)), (512, 768, (800, 1200)), (100, 300, (444, 1333)), (1024, 1024, (800, 800))],
)
def test_sizes_are_those_of_the_published_pipeline(height: int, width: int, expected: tuple[int, int]) -> None:
    """mmcv's rescale to (1333, 800): 100 x 300 is bounded by its long side, 1333 / 3 = 444.3."""
    assert resized(torch.zeros(1, 3, height, width), 800, 1333).shape[2:] == expected


def test_padding_is_grey_and_cut_off_again() -> None:
    pixels = prepared(torch.full((1, 3, 40, 64), 255.0))
    assert pixels.shape == (1, 3, 64, 64)
    assert pixels[0, 0, 39, 0].item() == pytest.approx((1 - 0.485) / 0.229, rel=1e-4)
    assert pixels[0, 2, 40, 0].item() == pytest.approx((128 / 255 - 0.406) / 0.225, rel=1e-4)
    # A mask that is on below row 40 of 64 lies outside the image.
    masks = torch.full((1, 16, 16), -1.0)
    masks[:, 11:] = 1
    assert not (at_size(masks, (64, 64), (40, 64), (80, 128)) > 0).any()
    assert (at_size(masks, (64, 64), (64, 64), (64, 64)) > 0).any()


@pytest.mark.slow
def test_images_keep_their_order_whatever_their_size(saved: Path) -> None:
    """More than a batch, sizes mixed: each as by itself."""
    detector = Detector(load(saved, CPU).network, CPU, 64, 128)
    mixed = [*images(6, 16, 16), *images(1, 16, 24), *images(1, 16, 16)]
    together = detector(mixed)
    assert [d[0].mask.shape for d in together if d[0].mask is not None] == [i.shape[:2] for i in mixed]
    assert together[7][0].score == pytest.approx(together[0][0].score, rel=1e-4)
    for image, found in zip(mixed, together, strict=True):
        alone = [d.score for d in ordered(detector([image])[0])]
        assert [d.score for d in ordered(found)] == pytest.approx(alone, rel=1e-3)
    assert detector([]) == []


def test_old_names_of_classes_are_known_too() -> None:
    old = {"motorcycle": "motorbike", "airplane": "aeroplane", "couch": "sofa", "tv": "tvmonitor"}
    check_classes({n: old.get(name, name) for n, name in enumerate(HUB_NAMES)}, Path("x"))


def test_missing_transformers_is_one_sentence(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        UserError, match=r"^geneval: .*transformers, which is not installed; pip install 'sgbench\[hf\]'"
    ):
        load(saved, CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_files_are_named(saved: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(saved, tmp_path / "copy")
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"the detector's {name} is not in the folder; .*facebook/mask2former"):
        load(folder, CPU)
    with pytest.raises(UserError, match=r"nowhere: the detector's config.json is not in the folder"):
        load(tmp_path / "nowhere", CPU)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "config.json is not JSON"),
        (b"[]", r"the folder holds another model \(of unknown type\)"),
        (b'{"model_type": "detr"}', r"the folder holds another model \(detr\), not mask2former"),
        (b'{"model_type": "mask2former", "hidden_dim": "wide"}', "the detector cannot be read"),
    ],
)
def test_another_configuration_is_refused(saved: Path, tmp_path: Path, content: bytes, message: str) -> None:
    folder = shutil.copytree(saved, tmp_path / "copy")
    (folder / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(folder, CPU)


@pytest.mark.slow
def test_damaged_and_partial_weights_are_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(saved, tmp_path / "copy")
    path = folder / "model.safetensors"
    state = load_file(path)
    absent = "class_predictor.weight"
    save_file({name: tensor for name, tensor in state.items() if name != absent}, path, {"format": "pt"})
    with pytest.raises(UserError, match=rf"1 of the detector's tensors are missing \(the first is {absent}\)"):
        load(folder, CPU)
    save_file({**state, absent: torch.zeros(5, 32)}, path, {"format": "pt"})
    with pytest.raises(UserError, match="the detector cannot be read"):
        load(folder, CPU)
    path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="the detector cannot be read"):
        load(folder, CPU)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (HUB_NAMES[:7], "the detector knows 7 classes, and COCO has 80"),
        ([*HUB_NAMES[:3], "moped", *HUB_NAMES[4:]], "class 3 of the detector is 'moped', and COCO's is 'motorcycle'"),
    ],
)
def test_other_classes_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(save(tmp_path, names), CPU)


def test_the_configuration_tells_the_published_type(saved: Path) -> None:
    """What `load` looks at is what transformers writes."""
    assert json.loads((saved / "config.json").read_bytes())["model_type"] == "mask2former"

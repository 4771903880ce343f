"""`sgbench score IMAGES` and `sgbench export`: other tools' images in one table with ours, and the oracles' values."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.identity import cell_id
from sgbench.cli.app import app
from sgbench.results.store import Store
from sgbench.score import export
from sgbench.suite.sweep import expand

pytestmark = pytest.mark.slow

Folder = Callable[..., Path]
Write = Callable[..., Path]


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False).stdout


def as_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").splitlines()[-1])


def values(found: Any) -> dict[str, float]:
    return {metric: score["value"] for metric, score in found["scores"].items()}


@pytest.fixture
def drawn(tmp_path: Path, suite_file: Write) -> tuple[Path, str]:
    """A suite that was run, and the id of its first cell."""
    suite = api.load_suite(suite_file(samples=40, sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.run_suite(suite, tmp_path / "results", device="cpu")
    return tmp_path / "results", cell_id(expand(suite)[0])


@pytest.mark.full
def test_a_folder_equals_torch_fidelity(image_folder: Folder, random_inception: Path) -> None:
    """From files to FID, KID, IS: the whole way, on the same weights."""
    import torch_fidelity

    fake, real = image_folder("fake", 20, seed=1), image_folder("real", 21, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch_fidelity.calculate_metrics(
            input1=str(fake), input2=str(real), cuda=False, isc=True, fid=True, kid=True, kid_subset_size=20,
            kid_subsets=1, isc_splits=1, samples_shuffle=False, cache=False, save_cpu_ram=True, verbose=False,
            feature_extractor_weights_path=str(random_inception),
        )  # fmt: skip
    (found,) = as_json("score", fake, "--reference", real, "--metrics", "fid,inception_score,sfid")["sets"]
    ours = values(found)
    # Half precision of kept features is what separates them: below 1e-5, as docs/accuracy.md says.
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["inception_score"] == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert ours["sfid"] > 0
    protocol = found["scores"]["fid"]["protocol"]
    assert protocol["extractor"] == "inception"
    assert protocol["samples"] == 20
    assert (found["cell"], found["seed"]) == ("", None)


@pytest.mark.full
def test_a_folder_equals_clean_fid(image_folder: Folder, random_inception: Path) -> None:
    from cleanfid import fid

    from sgbench.metrics.extractors.inception import network_layers

    fake, real = image_folder("fake", 20, side=48, seed=1), image_folder("real", 21, side=48, seed=2)
    network = torch.nn.ModuleDict(network_layers())
    network.load_state_dict(torch.load(random_inception))
    layers = [layer for name, layer in network.eval().items() if name != "fc"]

    def extract(batch: torch.Tensor) -> torch.Tensor:
        x = (batch - 128) / 128
        with torch.inference_mode():
            for layer in layers:
                x = layer(x)
        return x.flatten(1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fid.compute_fid(
            str(fake), str(real), mode="clean", custom_feat_extractor=extract, device=torch.device("cpu"),
            num_workers=0, verbose=False,
        )  # fmt: skip
    (found,) = as_json("score", fake, "--reference", real, "--metrics", "fid_clean")["sets"]
    assert values(found)["fid_clean"] == pytest.approx(theirs, rel=1e-5)


def test_a_cell_its_export_and_its_pictures_score_alike(drawn: tuple[Path, str], tmp_path: Path) -> None:
    from PIL import Image

    results, cell = drawn
    folder = next(results.glob(f"*/cells/{cell}"))
    done = as_json("export", cell, "--adm", tmp_path / "cell.npz", "--results", results)
    assert done == {"file": str(tmp_path / "cell.npz"), "images": 40, "repeated": True}
    with np.load(tmp_path / "cell.npz") as stored:
        assert stored["arr_0"].shape == (40, 32, 32, 3)
        assert stored["arr_1"].tolist() == [i % 10 for i in range(40)]
        pictures = stored["arr_0"]
    (tmp_path / "pictures").mkdir()
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{index}.png")
    sets = [folder, tmp_path / "cell.npz", tmp_path / "pictures"]
    found = as_json("score", *sets, "--reference", "fashion-mnist", "--metrics", "fd_lite0")["sets"]
    assert len({values(one)["fd_lite0"] for one in found}) == 1
    # The export knows its labels; the bare pictures are told what they are, and all stand in one column.
    text = run("score", *sets, "--reference", "fashion-mnist", "--metrics", "fd_lite0", "--labels", "balanced")
    assert "not comparable" not in text
    assert "How other tools rounded their images to uint8 is not known" in text
    ours = as_json("score", folder, "--reference", "fashion-mnist", "--metrics", "fd,label_agreement,nearest_train")
    assert ours["sets"][0]["samples"] == 40
    assert 0 < values(ours["sets"][0])["label_agreement"] <= 1


def test_one_table_and_what_must_not_be_compared(image_folder: Folder) -> None:
    first, second = image_folder("a"), image_folder("b", seed=1)
    lossy = image_folder("c", seed=2, suffix=".jpg")
    text = run("score", first, second, lossy, "--reference", image_folder("real", 30), "--metrics", "fd_lite0")
    lines = text.splitlines()
    assert "FD[lite0] (1)" in lines[0]
    assert "FD[lite0] (2)" in lines[0]
    assert str(first) in lines[2]
    assert (
        "FD[lite0]: columns (1) and (2) are not comparable: quantisation uint8, lossless against uint8, read from jpg"
    ) in text
    same = run("score", first, second, "--reference", image_folder("real2", 30), "--metrics", "fd_lite0")
    assert "FD[lite0] (1)" not in same
    assert "not comparable" not in same


def test_explain_scores_nothing(image_folder: Folder, suite_file: Write) -> None:
    lossy = image_folder("set", 21, suffix=".jpg")
    asked = ("score", lossy, "--reference", image_folder("real"), "--metrics", "fd_lite0")
    text = run(*asked, "--explain")
    for part in ("fd_lite0", "Frechet distance", "bicubic (torch, antialiased) to 128 x 128", "real, 24 images", "jpg"):
        assert part in text
    # What is told is what is scored under.
    (told,) = as_json(*asked, "--explain", "--labels", "balanced")["protocols"]
    (found,) = as_json(*asked, "--labels", "balanced")["sets"]
    assert told["id"] == found["scores"]["fd_lite0"]["protocol_id"]
    assert told["labels"] == "balanced"
    protocols = as_json("score", suite_file(), "--explain")["protocols"]
    assert [p["metric"] for p in protocols] == ["fd", "precision", "recall", "label_agreement"]
    assert protocols[0]["samples"] == 20
    assert len(protocols[0]["extractor_sha256"]) == 64


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SET"], "scores of images need metrics"),
        (["SET", "--reference", "REAL", "--metrics", "fdd"], "there is no metric 'fdd', did you mean 'fd'?"),
        (["SET", "--reference", "REAL", "--metrics", "lpips"], "lpips compares the guided and the unguided image"),
        (["SET", "--reference", "REAL", "--metrics", "fd_lite0", "--limit", "5"], "--limit is for suites and cells"),
        (["SET", "--reference", "fashion-mnist", "--metrics", "fd"], "fashion-cnn takes grey images of 32 x 32"),
        (["SET", "--reference", "LARGE", "--metrics", "fd_lite0"], "the images are 32 x 32 pixels, and those of the"),
        (["FEW", "--reference", "REAL", "--metrics", "fd_lite0"], "5 images are too few: scores and their errors need"),
        (["SAME", "--reference", "REAL", "--metrics", "fd_lite0"], "all 24 images have the same features of lite0"),
        (["SET", "--reference", "FEW", "--metrics", "precision_lite0"], "has 5 images, fewer than the 5th"),
        (["GREY", "--reference", "REAL", "--metrics", "fd_lite0"], "the images are grey, and those of the reference"),
        (["SET", "--reference", "REAL", "--metrics", ""], "no metric is named"),
        (["SET", "--reference", "REAL", "--metrics", "fd_lite0", "--labels", "x"], "there is no label policy 'x'"),
        (["SET", "--reference", "REAL", "--metrics", "nearest_train"], "has no features of training images"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    image_folder: Folder, tmp_path: Path, random_inception: Path, arguments: list[str], said: str
) -> None:
    names = {"SET": image_folder("set"), "REAL": image_folder("real", seed=1), "FEW": image_folder("few", 5)}
    names["LARGE"] = image_folder("large", side=48)
    names["GREY"] = image_folder("grey", channels=1)
    names["SAME"] = tmp_path / "same"
    names["SAME"].mkdir()
    for index in range(24):
        shutil.copy(names["SET"] / "0.png", names["SAME"] / f"{index}.png")
    with pytest.raises(UserError) as caught:
        run("score", *(names.get(a, a) for a in arguments))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_that_are_missing_are_asked_for(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 1), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", arr_0=pixels)
    with pytest.raises(UserError, match="label agreement needs the label of each image"):
        run("score", tmp_path / "set.npz", "--reference", "fashion-mnist", "--metrics", "label_agreement")


def test_cells_that_are_not_there(drawn: tuple[Path, str], tmp_path: Path) -> None:
    results, cell = drawn
    with pytest.raises(UserError, match=r"there is no cell '0123'"):
        run("export", "0123", "--adm", tmp_path / "x.npz", "--results", results)
    folder = next(results.glob(f"*/cells/{cell}"))
    shutil.copytree(folder, tmp_path / "moved")
    with pytest.raises(UserError, match="this is not a cell that this version and these weights can name"):
        run("score", tmp_path / "moved", "--reference", "fashion-mnist", "--metrics", "fd")
    shutil.rmtree(folder / "shards")
    with pytest.raises(UserError, match="the cell has no images here"):
        run("score", folder, "--reference", "fashion-mnist", "--metrics", "fd")
    with pytest.raises(UserError, match="the cell has no images here"):
        run("export", cell, "--adm", tmp_path / "x.npz", "--results", results)


def test_an_export_that_fails_leaves_nothing(
    drawn: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, cell = drawn

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "_write", full)
    with pytest.raises(UserError, match=r"the images could not be written \(No space left on device\)"):
        run("export", cell, "--adm", tmp_path / "out" / "x.npz", "--results", results)
    assert not list((tmp_path / "out").iterdir())


def test_suites_take_no_reference(suite_file: Write) -> None:
    with pytest.raises(UserError, match="a suite names its own reference and metrics"):
        run("score", suite_file(), "--reference", "fashion-mnist")


def test_a_cell_scores_as_its_suite_does(drawn: tuple[Path, str], suite_file: Write) -> None:
    results, cell = drawn
    suite = api.load_suite(suite_file(samples=40, sweep=[{"guidance": "cfg", "scale": 1.5}]))
    api.score_suite(suite, results, device="cpu")
    rows = Store(results, "tiny").read_rows()
    (one,) = api.score_images([next(results.glob(f"*/cells/{cell}"))], "fashion-mnist", suite.metrics, device="cpu")
    assert (one.as_dict()["cell"], one.as_dict()["seed"]) == (cell, suite.seed)
    for metric in suite.metrics:
        assert one.scores[metric]["value"] == pytest.approx(float(rows[metric].iloc[0]), rel=1e-12)
        assert one.protocols[metric].id == rows[f"{metric}_protocol"].iloc[0]

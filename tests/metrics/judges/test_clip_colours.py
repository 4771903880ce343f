"""The judge of colours on a tiny CLIP of the real class: sentences, cuts and the nearest colour."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import COLOURS
from sgbench.metrics.judges import clip_colours
from sgbench.metrics.judges.clip_colours import MODEL, SENTENCES, ColourClassifier, cut, load
from sgbench.metrics.judges.geneval import Box, Detection, judge

CPU = torch.device("cpu")
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 64, "patch_size": 14},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    "quick_gelu": True,
}


def tower() -> open_clip.CLIP:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return open_clip.CLIP(**TINY).eval()


@pytest.fixture(scope="module")
def classifier() -> ColourClassifier:
    return ColourClassifier(tower(), CPU)


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def found(box: Box, mask: np.ndarray | None = None, name: str = "dog") -> Detection:
    return Detection(name, box, 0.9, mask)


def test_the_model_has_openais_activation() -> None:
    assert open_clip.get_model_config(MODEL)["quick_gelu"] is True


def test_the_sentences_are_the_published_ones() -> None:
    """evaluation/evaluate_images.py of the published evaluator, color_classification."""
    assert [s.format(colour="red", name="dog") for s in SENTENCES] == [
        "a photo of a red dog",
        "a photo of a red-colored dog",
        "a photo of a red object",
    ]


@pytest.mark.slow
def test_a_colour_is_the_mean_of_its_sentences(classifier: ColourClassifier) -> None:
    """Each sentence of length one before the mean, and the mean after it; one sentence at a time here."""
    network, tokens = tower(), open_clip.SimpleTokenizer(context_length=16)
    words = classifier.words("hot dog")
    assert words.shape == (10, 16)
    for row, colour in zip(words, COLOURS, strict=True):
        total = torch.zeros(16)
        for text in (
            f"a photo of a {colour} hot dog",
            f"a photo of a {colour}-colored hot dog",
            f"a photo of a {colour} object",
        ):
            with torch.inference_mode():
                embedded = network.encode_text(tokens([text]))[0]
            total += embedded / embedded.norm()
        assert torch.allclose(row, total / total.norm(), atol=1e-5)


def test_sentences_are_read_once_a_class(classifier: ColourClassifier) -> None:
    assert classifier.words("cat") is classifier.words("cat")
    assert not torch.equal(classifier.words("cat"), classifier.words("dog"))


def test_the_nearest_colour_wins(classifier: ColourClassifier) -> None:
    """The same pixels by PIL and torchvision's transforms, one cosine at a time."""
    image, boxes = picture(), [(0, 0, 30, 40), (20, 5, 60, 25), (3, 3, 9, 30)]
    network = tower()
    expected = []
    for box in boxes:
        pixels = Image.fromarray(image).crop(box)
        scale = 28 / min(pixels.size)
        pixels = pixels.resize((int(pixels.width * scale), int(pixels.height * scale)), Image.Resampling.BICUBIC)
        left, top = round((pixels.width - 28) / 2), round((pixels.height - 28) / 2)
        middle = np.asarray(pixels.crop((left, top, left + 28, top + 28)), dtype=np.float32) / 255
        ready = (middle - np.array(open_clip.OPENAI_DATASET_MEAN)) / np.array(open_clip.OPENAI_DATASET_STD)
        with torch.inference_mode():
            seen = network.encode_image(torch.from_numpy(ready).float().permute(2, 0, 1)[None])[0]
        cosines = [float(torch.cosine_similarity(seen, row, dim=0)) for row in classifier.words("dog")]
        expected.append(COLOURS[int(np.argmax(cosines))])
    assert classifier(image, [found(box) for box in boxes]) == expected


def test_what_is_seen_decides(classifier: ColourClassifier) -> None:
    """Words turned towards one picture's embedding: that picture is of this colour, its negative is not."""
    image = picture()
    own = ColourClassifier(classifier.network, CPU, ("teal", "rust"))
    with torch.inference_mode():
        seen = own.network.encode_image(own.transform(cut(image, found((0, 0, 60, 40))))[None], normalize=True)
    for sign, colour in ((1, "teal"), (-1, "rust")):
        own._known["dog"] = torch.cat([sign * seen, -sign * seen])
        assert own(image, [found((0, 0, 60, 40))]) == [colour]


def test_the_background_is_grey_and_the_box_is_cut() -> None:
    image = picture()
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 30:40] = True
    pixels = np.asarray(cut(image, found((25, 8, 45, 22), mask)))
    assert pixels.shape == (14, 20, 3)
    assert np.array_equal(pixels[2:12, 5:15], image[10:20, 30:40])
    outside = ~mask[8:22, 25:45]
    assert (pixels[outside] == 153).all()
    assert pixels.dtype == np.uint8
    assert np.array_equal(np.asarray(cut(image, found((25, 8, 45, 22)))), image[8:22, 25:45])


def test_it_is_what_geneval_asks(classifier: ColourClassifier) -> None:
    image, thing = picture(), found((0, 0, 30, 30))
    [colour] = classifier(image, [thing])
    other = next(c for c in COLOURS if c != colour)
    for wanted, right in ((colour, True), (other, False)):
        record = {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": wanted}]}
        assert judge(record, [thing], partial(classifier, image)).correct is right


@pytest.mark.slow
def test_weights_are_loaded_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny network stands for the large one in open_clip's own table of models."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "sgbench-tiny", TINY)
    monkeypatch.setattr(clip_colours, "MODEL", "sgbench-tiny")
    state = {name: tensor.contiguous() for name, tensor in tower().state_dict().items()}
    path = tmp_path / "open_clip_model.safetensors"
    save_file(state, path)
    image, thing = picture(), found((0, 0, 30, 30))
    assert load(path, CPU)(image, [thing]) == ColourClassifier(tower(), CPU)(image, [thing])
    state.pop("logit_scale")
    save_file(state, path)
    with pytest.raises(UserError, match=r"open_clip_model.safetensors: the weights do not fit the network"):
        load(path, CPU)

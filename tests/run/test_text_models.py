"""Text-to-image models of the real classes, tiny and with random weights, from the suite file to images and report."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import yaml
from safetensors.torch import save_file

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.prompts import load_prompts
from sgbench.files.digest import sha256_file
from sgbench.metrics.preference import cosine
from sgbench.models import catalogue
from sgbench.models.components import autoencoder_sha256, pipeline_sha256
from sgbench.models.families import FAMILIES
from sgbench.models.families.microdit import MicroDiTArchitecture
from sgbench.networks.denoiser import build
from sgbench.networks.text_encoder import CLIPTextEncoder, TowerSizes, load_text_encoder
from sgbench.results.store import Store
from sgbench.sampling import networks
from sgbench.suite.sweep import expand
from tests.stored import stored_images

pytestmark = pytest.mark.slow

diffusers = pytest.importorskip("diffusers", reason="the extra hf is not installed")
transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
PROMPTS = ["a red boot", "<script>alert(1)</script> & co", "two cats"]
SAMPLES = 4
SWEEP = [
    {"guidance": "none"},
    {"guidance": "cfg", "scale": 2},
    {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.5, "scale": 2},
]


@pytest.fixture(autouse=True)
def fresh_catalogue() -> Iterator[None]:
    """Entries remember architectures, which tests replace."""
    catalogue.entry.cache_clear()
    yield
    catalogue.entry.cache_clear()


def moved(module: torch.nn.Module) -> torch.nn.Module:
    """With every parameter moved: zero modulation would hide the blocks."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.eval().requires_grad_(False).parameters():
        parameter.normal_(std=0.2, generator=generator)
    return module


def autoencoder(stages: int) -> Any:
    """Each stage but one halves the side."""
    return moved(
        diffusers.AutoencoderKL(
            block_out_channels=(8,) * stages, down_block_types=("DownEncoderBlock2D",) * stages,
            up_block_types=("UpDecoderBlock2D",) * stages, norm_num_groups=4, layers_per_block=1, latent_channels=4,
            scaling_factor=0.4, shift_factor=0.1,
        )
    )  # fmt: skip


def write_suite(folder: Path, sampler: str, **changes: Any) -> Path:
    prompts = folder / "own.json"
    prompts.write_text(json.dumps(PROMPTS))
    content = {
        "suite": "text", "title": "Text", "seed": 3, "samples": SAMPLES, "metrics": [], "prompts": str(prompts),
        "sampler": {"name": sampler, "steps": 2}, "sweep": SWEEP, **changes,
    }  # fmt: skip
    path = folder / "text.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def drawn(path: Path, folder: Path) -> list[np.ndarray]:
    """The images of every cell, after a run that is repeated without anything left to do."""
    suite = api.load_suite(path)
    cells = expand(suite)
    assert api.run_suite(suite, folder / "results", device="cpu").images_made == suite.samples * len(cells)
    assert api.run_suite(suite, folder / "results", device="cpu").images_made == 0
    store = Store(folder / "results", suite.suite)
    found = [stored_images(store, cell, suite.samples) for cell in cells]
    assert store.known_cells() == sorted(cells, key=lambda cell: store.cell_folder(cell).name)
    for cell in cells:
        cost = store.read_record(cell, "cost")
        assert cost is not None
        # What fvcore counts on the network that ran is what the closed form says.
        assert cost["macs_per_image"] == pytest.approx(cost["closed_form_macs_per_image"], rel=1e-3)
        assert cost["decode_macs_per_image"] > 0
    return [images for images in found if images is not None]


def check_images(images: list[np.ndarray], side: int) -> None:
    assert [one.shape for one in images] == [(SAMPLES, side, side, 3)] * len(SWEEP)
    assert len({one.tobytes() for one in images}) == len(SWEEP)
    # Images 0 and 3 show one prompt from two noises.
    assert not np.array_equal(images[0][0], images[0][3])
    assert all(np.ptp(one) > 0 for one in images)


# PRX: a folder of diffusers' layout


WORDS = ["<pad>", "<bos>", "<unk>", "a", "red", "boot", "two", "cats", "script", "alert"]
TEXT: dict[str, Any] = {
    "vocab_size": len(WORDS), "hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2, "head_dim": 4,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "query_pre_attn_scalar": 4,
    "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4096, "pad_token_id": 0,
    "dropout_rate": 0.0,
}  # fmt: skip


def tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<bos>", unk_token="<unk>", model_max_length=16
    )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig
    from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

    folder = tmp_path_factory.mktemp("prx")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LoraLoaderMixin", FutureWarning)
        made = diffusers.PRXPipeline(
            transformer=moved(
                # In a smaller one the reordering of patches, which fvcore counts, would be more than 0.1 %.
                diffusers.PRXTransformer2DModel(
                    in_channels=4, context_in_dim=12, hidden_size=32, num_heads=4, depth=4, axes_dim=[4, 4]
                )
            ),
            text_encoder=moved(T5GemmaEncoder(T5GemmaModuleConfig(**TEXT))),
            vae=autoencoder(3),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            tokenizer=tokenizer(),
            default_sample_size=64,
        )
    made.save_pretrained(folder)
    return folder


def prx(folder: Path) -> dict[str, Any]:
    return {"family": "prx", "resolution": 64, "route": "1-2", "weights": str(folder)}


def test_a_pipeline_draws_from_captions(pipeline: Path, tmp_path: Path) -> None:
    path = write_suite(tmp_path, "euler", model=prx(pipeline))
    check_images(drawn(path, tmp_path), 64)
    suite = api.load_suite(path)
    api.score_suite(suite, tmp_path / "results", device="cpu")
    rows = Store(tmp_path / "results", "text").read_rows()
    assert set(rows["checkpoint_sha256"]) == {pipeline_sha256(pipeline)}
    assert rows["dropped_tokens"].tolist() == ["no", "no", "not trained for it"]
    assert set(rows["prompts"]) == {load_prompts(suite.prompts).describe()}
    assert set(rows["autoencoder_sha256"]) == {"own"}
    assert rows["gmacs_per_image"].idxmax() == 1
    table = api.report_suite(suite, tmp_path / "results", tmp_path / "reports").page.read_text()
    assert "No quality was measured" in table


VISION = {"image_size": 28, "layers": 1, "width": 32, "head_width": 16, "patch_size": 14}
CLIP_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
CONFIG = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": CLIP_TEXT}


def test_a_pipeline_is_judged_and_reported(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By HPSv2.1 of a small size, up to the page, in which a prompt's markup is text."""
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(cosine, "published", lambda model: CONFIG)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(open_clip.CLIP(**CONFIG).state_dict(), tmp_path / "HPS_v2.1_compressed.pt")
    path = write_suite(tmp_path, "euler", model=prx(pipeline), metrics=["hpsv2.1", "hpsv2.1_x100"], samples=20)
    done = api.bench_suite(api.load_suite(path), tmp_path / "results", tmp_path / "reports", device="cpu", command="x")
    rows = Store(tmp_path / "results", "text").read_rows()
    assert rows["hpsv2.1_x100"].tolist() == pytest.approx((100 * rows["hpsv2.1"]).tolist())
    assert rows["hpsv2.1"].nunique() == len(SWEEP)
    text = Path(done["report"]["page"]).read_text()
    # In captions, and in the page's data.
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text
    assert r'"\u003cscript>alert(1)\u003c/script> & co"' in text
    assert "<script>alert" not in text
    assert pipeline_sha256(pipeline) in text
    names = [path.name for path in (tmp_path / "reports" / "text" / "gallery").iterdir()]
    assert names == ["rules-prx-64-route-1-2.webp"]
    assert any(sentence.startswith("Each at its best score, SG") for sentence in done["report"]["sentences"])


# MicroDiT: weights, a text encoder and an autoencoder of their own


TOWER = TowerSizes(context_length=20, vocab_size=49408, width=16, heads=2, layers=1, quick_gelu=True)
MICRODIT = MicroDiTArchitecture(
    input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=4, head_dim=16, multiple_of=16,
    caption_channels=16, caption_tokens=20, qkv_ratios=(0.5, 1, 1, 1), ffn_ratios=(0.5, 1, 2, 4), patch_mixer_depth=2,
    patch_mixer_dim=32, patch_mixer_qkv_ratio=1.0, patch_mixer_mlp_ratio=4.0, num_experts=2, expert_capacity=1.0,
    experts_every_n=2, trained_gamma=0.75,
)  # fmt: skip
Microdit = Callable[..., Path]


@pytest.fixture
def microdit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Microdit:
    """A suite file of a small MicroDiT, with all of its files beside it."""
    monkeypatch.setitem(FAMILIES, "microdit", replace(FAMILIES["microdit"], sized=lambda request: MICRODIT))
    small = partial(load_text_encoder, sizes=TOWER)
    monkeypatch.setattr(networks, "load_text_encoder", small)
    save_file(moved(build(MICRODIT)).state_dict(), tmp_path / "microdit.safetensors")
    save_file(moved(CLIPTextEncoder(TOWER).tower).state_dict(), tmp_path / "tower.safetensors")
    autoencoder(4).save_pretrained(tmp_path / "vae")

    def write(**changes: Any) -> Path:
        files = {"text_encoder": str(tmp_path / "tower.safetensors"), "autoencoder": str(tmp_path / "vae")}
        weights = str(tmp_path / "microdit.safetensors")
        model = {"family": "microdit", "size": "XL/2", "resolution": 64, "weights": weights}
        return write_suite(tmp_path, "edm-heun", **{"model": model, **files, **changes})

    return write


def test_microdit_draws_from_captions(microdit: Microdit, tmp_path: Path) -> None:
    path = microdit()
    check_images(drawn(path, tmp_path), 64)
    suite = api.load_suite(path)
    api.score_suite(suite, tmp_path / "results", device="cpu")
    rows = Store(tmp_path / "results", "text").read_rows()
    assert set(rows["autoencoder_sha256"]) == {autoencoder_sha256(str(tmp_path / "vae"))}
    assert rows["dropped_tokens"].tolist() == ["no", "no", "trained for it"]
    store = Store(tmp_path / "results", "text")
    record = store.read_record(expand(suite)[0], "cell")
    assert record is not None
    assert record["checkpoints"]["text_encoder"] == sha256_file(tmp_path / "tower.safetensors")


def test_another_prompt_is_another_image(microdit: Microdit, tmp_path: Path) -> None:
    path = microdit(sweep=SWEEP[:1])
    (before,) = drawn(path, tmp_path)
    (tmp_path / "own.json").write_text(json.dumps([PROMPTS[0], "two dogs", PROMPTS[2]]))
    (after,) = drawn(path, tmp_path)
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True, False, True, True]


def test_a_text_encoder_that_is_not_there_is_missed_before_anything_is_drawn(
    microdit: Microdit, tmp_path: Path
) -> None:
    suite = api.load_suite(microdit(text_encoder="apple/not-here"))
    with pytest.raises(UserError, match=r"text_encoder: the text encoder apple/not-here is not on this machine; downl"):
        api.run_suite(suite, tmp_path / "results", device="cpu")
    assert not list((tmp_path / "results").rglob("*.npy"))


def test_a_caption_that_is_too_long_is_named(microdit: Microdit, tmp_path: Path) -> None:
    path = microdit(sweep=SWEEP[:1])
    (tmp_path / "own.json").write_text(json.dumps([PROMPTS[0], "cat " * 30]))
    with pytest.raises(UserError, match="the caption has 30 tokens and the text encoder reads 18; shorten it"):
        api.run_suite(api.load_suite(path), tmp_path / "results", device="cpu")


def test_random_weights_need_neither_encoder_nor_decoder(microdit: Microdit, tmp_path: Path) -> None:
    model = {"family": "microdit", "size": "XL/2", "resolution": 64, "weights": "random"}
    suite = api.load_suite(microdit(model=model, text_encoder="none", autoencoder="none"))
    assert api.run_suite(suite, tmp_path / "results", device="cpu").images_made == SAMPLES * len(SWEEP)
    images = stored_images(Store(tmp_path / "results", "text"), expand(suite)[0], SAMPLES)
    assert images.shape == (SAMPLES, 8, 8, 3)

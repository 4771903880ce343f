"""A pipeline folder with real, tiny parts: loaded, run and compared with what diffusers' own pipeline does with it."""

from __future__ import annotations

import itertools
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.program import program
from sgbench.guidance import combine
from sgbench.guidance.settings import Guidance
from sgbench.networks.autoencoder import decode
from sgbench.networks.pipelines import Pipeline, load_pipeline
from sgbench.networks.prediction import predict
from sgbench.networks.text_encoder import BATCH
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import Sampler
from sgbench.sampling.subsets import draw_subsets

diffusers = pytest.importorskip("diffusers", reason="the extra hf is not installed")
transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
CPU = torch.device("cpu")
ROUTES = ((1, 2),)
WORDS = ["<pad>", "<bos>", "<unk>", "a", "red", "boot", "two", "cats", "and", "dog"]
CAPTIONS = ["a red boot", "Two cats, and a dog!"]
LONGEST = 8
TEXT: dict[str, Any] = {
    "vocab_size": len(WORDS), "hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2, "head_dim": 4,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64, "query_pre_attn_scalar": 4,
    "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4096, "pad_token_id": 0,
    "dropout_rate": 0.0,
}  # fmt: skip


def kl() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, latent_channels=4, scaling_factor=0.4,
        shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip


def dc() -> Any:
    return diffusers.AutoencoderDC(
        latent_channels=4, attention_head_dim=2, scaling_factor=0.5,
        encoder_block_types=("ResBlock",) * 2, decoder_block_types=("ResBlock",) * 2,
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), ()), decoder_qkv_multiscales=((), ()),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        upsample_block_type="interpolate", downsample_block_type="stride_conv",
    )  # fmt: skip


def tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<bos>", unk_token="<unk>", model_max_length=LONGEST
    )


def parts(autoencoder: Any) -> dict[str, Any]:
    """The pipeline's parts with every weight moved: zero modulation would hide the blocks."""
    from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig
    from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

    transformer = diffusers.PRXTransformer2DModel(
        in_channels=4, context_in_dim=12, hidden_size=16, num_heads=2, depth=4, axes_dim=[4, 4]
    )  # fmt: skip
    found = {
        "transformer": transformer,
        "text_encoder": T5GemmaEncoder(T5GemmaModuleConfig(**TEXT)),
        "vae": autoencoder,
    }
    generator = torch.Generator().manual_seed(0)
    for part in found.values():
        part.eval().requires_grad_(False)
        for parameter in part.parameters():
            parameter.normal_(std=0.2, generator=generator)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    return {**found, "scheduler": scheduler, "tokenizer": tokenizer()}


def save(folder: Path, autoencoder: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LoraLoaderMixin", FutureWarning)
        pipeline = diffusers.PRXPipeline(**parts(autoencoder), default_sample_size=32)
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder, and diffusers' own pipeline that wrote it."""
    folder = tmp_path_factory.mktemp("prx")
    return folder, save(folder, kl())


@pytest.fixture(scope="module")
def loaded(saved: tuple[Path, Any]) -> Pipeline:
    return load_pipeline(saved[0], ROUTES, CPU)


def noise(count: int = len(CAPTIONS)) -> Tensor:
    return torch.randn(count, 4, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_sizes_are_read_from_the_folder(loaded: Pipeline, saved: tuple[Path, Any]) -> None:
    a = loaded.network.architecture
    assert (a.sample_shape, a.grid_tokens, a.caption_channels, a.caption_tokens) == ((4, 16, 16), 64, 12, LONGEST)
    assert a.routes == ROUTES
    assert load_pipeline(saved[0], (), CPU, resolution=64).network.architecture.input_size == 32


def test_captions_are_encoded_as_the_pipeline_encodes_them(loaded: Pipeline, saved: tuple[Path, Any]) -> None:
    words, mask, null, null_mask = saved[1].encode_prompt(CAPTIONS, CPU)
    found = loaded.captions.encode(CAPTIONS)
    assert found.shape == (len(CAPTIONS), LONGEST, 13)
    assert torch.allclose(found[..., :12], words, atol=1e-6)
    assert torch.equal(found[..., 12].bool(), mask)
    assert not mask.all()
    assert torch.allclose(loaded.captions.null()[..., :12], null[:1], atol=1e-6)
    assert torch.equal(loaded.captions.null()[..., 12].bool(), null_mask[:1])


def test_captions_keep_their_order_over_batches(loaded: Pipeline) -> None:
    found = loaded.captions.encode(CAPTIONS[:1] * BATCH + CAPTIONS[1:])
    assert len(found) == BATCH + 1
    assert torch.allclose(found[-1], loaded.captions.encode(CAPTIONS[1:])[0], atol=1e-5)
    assert loaded.captions.encode([]).shape == (0, LONGEST, 13)


def test_a_caption_is_never_cut_off(loaded: Pipeline) -> None:
    assert loaded.captions.encode(["a " * (LONGEST - 1)])[..., 12].all()
    with pytest.raises(UserError, match=r"a a'.*the caption has 9 tokens and the text encoder reads 8; shorten it"):
        loaded.captions.encode([("a " * LONGEST).strip()])


def test_our_guidance_and_clock_draw_the_pipelines_own_latents(loaded: Pipeline, saved: tuple[Path, Any]) -> None:
    """CFG at scale 4 in three Euler steps on the pipeline's noise levels: sign, clock and null as published."""
    pipeline = saved[1]
    how = {"num_inference_steps": 3, "guidance_scale": 4.0, "height": 32, "width": 32, "output_type": "latent"}
    # diffusers 0.42 guides one caption at a time: with more, its times do not fit its batch.
    expected = torch.cat(
        [
            pipeline(caption, **how, latents=start, use_resolution_binning=False).images
            for caption, start in zip(CAPTIONS, noise().split(1), strict=True)
        ]
    )
    given, null = loaded.captions.encode(CAPTIONS), loaded.captions.null()
    x, levels = noise(), pipeline.scheduler.sigmas.tolist()
    assert levels[0] == 1
    assert levels[-1] == 0
    for here, there in itertools.pairwise(levels):
        strong, weak = (
            predict(loaded.network, "velocity", 0.5, x, here, condition, None) for condition in (given, null)
        )
        x = x + (there - here) * combine(strong, weak, 4.0)
    assert torch.allclose(x, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("autoencoder", [kl, dc])
def test_latents_are_decoded_as_the_pipeline_decodes_them(autoencoder: Callable[[], Any], tmp_path: Path) -> None:
    pipeline = save(tmp_path, autoencoder())
    loaded = load_pipeline(tmp_path, ROUTES, CPU)
    how = {"latents": noise(1), "use_resolution_binning": False, "num_inference_steps": 1, "height": 32, "width": 32}
    latents = pipeline(CAPTIONS[0], **how, output_type="latent").images
    expected = pipeline(CAPTIONS[0], **how, output_type="pt").images
    found = decode(loaded.decoder, latents)
    assert found.shape == (1, 3, 32, 32)
    assert torch.allclose((found / 2 + 0.5).clamp(0, 1), expected, atol=1e-5)


def test_sparse_guidance_draws_images_from_captions(loaded: Pipeline) -> None:
    """SG (arXiv 2601.01608): both branches read the caption, the weak one with fewer image tokens in the route."""
    cell = Cell("fashion-routing", Guidance("sg", 2.0, 0.25, 0.75), Sampler("euler", 3), 0, "balanced", "float32")
    evaluations = program(cell)
    subsets = draw_subsets(cell, evaluations, range(len(CAPTIONS)), loaded.network.architecture.grid_tokens)
    given = loaded.captions.encode(CAPTIONS)

    def guided(x: Tensor, level: float, number: int) -> Tensor:
        kept = [torch.from_numpy(subset) if subset is not None else None for subset in subsets[number]]
        strong, weak = (predict(loaded.network, "velocity", 0.5, x, level, given, tokens) for tokens in kept)
        assert not torch.allclose(strong, weak, atol=1e-3)
        return combine(strong, weak, evaluations[number].scale)

    with torch.inference_mode():
        images = decode(
            loaded.decoder, SAMPLERS[cell.sampler.name].solve(cell.sampler, guided, noise(), lambda step: noise())
        )
    assert images.shape == (len(CAPTIONS), 3, 32, 32)
    assert torch.isfinite(images).all()


def test_the_text_encoders_configuration_may_name_a_decoder_too(saved: tuple[Path, Any], tmp_path: Path) -> None:
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    path = tmp_path / "text_encoder" / "config.json"
    own = json.loads(path.read_text())
    path.write_text(json.dumps({"model_type": "t5gemma", "encoder": own, "decoder": own}))
    expected = load_pipeline(saved[0], (), CPU).captions.encode(CAPTIONS)
    assert torch.equal(load_pipeline(tmp_path, (), CPU).captions.encode(CAPTIONS), expected)


# What is wrong with a folder, and the sentence it ends in


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def lose(path: Path) -> None:
    """All weights but one."""
    state = load_file(path)
    state.pop(sorted(state)[0])
    save_file(state, path, {"format": "pt"})


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no pipeline": (lambda f: (f / "model_index.json").unlink(), "no pipeline is in the folder"),
    "not JSON": (lambda f: (f / "model_index.json").write_text("<html>"), "is not JSON"),
    "a list": (lambda f: (f / "model_index.json").write_text("[]"), "is not a configuration"),
    "another pipeline": (
        lambda f: change(f / "model_index.json", _class_name="FluxPipeline"),
        "the pipeline is FluxPipeline, and only PRXPipeline is known",
    ),
    "a pipeline in pixels": (
        lambda f: change(f / "model_index.json", _class_name="PRXPixelPipeline"),
        "the pipeline is PRXPixelPipeline",
    ),
    "code of its own": (
        lambda f: change(f / "model_index.json", _class_name=["pipeline", "PRXPipeline"]),
        "the pipeline is of unknown class",
    ),
    "no autoencoder": (lambda f: shutil.rmtree(f / "vae"), "vae.*cannot be read"),
    "another autoencoder": (
        lambda f: change(f / "vae" / "config.json", _class_name="AutoencoderTiny"),
        "make no model .'AutoencoderTiny' is missing or unknown",
    ),
    "parts of two models": (
        lambda f: change(f / "vae" / "config.json", latent_channels=16),
        "the autoencoder has 16 channels, the transformer 4",
    ),
    "an impossible size": (
        lambda f: change(f / "transformer" / "config.json", depth="deep"),
        "make no model .depth: Input should be a valid integer",
    ),
    "a short network": (lambda f: change(f / "transformer" / "config.json", depth=2), "overlaps another or leaves"),
    "a longer network": (
        lambda f: change(f / "transformer" / "config.json", depth=5),
        r"transformer: the weights do not fit .*: 11 are missing or of another shape",
    ),
    "another width": (
        lambda f: change(f / "transformer" / "config.json", mlp_ratio=2.0),
        "transformer of the pipeline cannot be read",
    ),
    "a weight too few": (
        lambda f: lose(f / "text_encoder" / "model.safetensors"),
        "text_encoder: the weights do not fit .*: 1 are missing",
    ),
    "a damaged file": (
        lambda f: (f / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"nothing"),
        "vae of the pipeline cannot be read",
    ),
    "a damaged encoder": (
        lambda f: (f / "text_encoder" / "model.safetensors").write_bytes(b"nothing"),
        "text_encoder of the pipeline cannot be read",
    ),
    "no tokenizer": (
        lambda f: (f / "tokenizer" / "tokenizer.json").unlink(),
        "tokenizer of the pipeline cannot be read",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_that_is_no_such_pipeline_is_one_sentence(name: str, saved: tuple[Path, Any], tmp_path: Path) -> None:
    spoil, message = BROKEN[name]
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load_pipeline(tmp_path, ROUTES, CPU)
    assert "\n" not in str(caught.value)


def test_a_resolution_that_does_not_fit_is_one_sentence(saved: tuple[Path, Any]) -> None:
    with pytest.raises(UserError, match="resolution 31 is not a multiple of 2"):
        load_pipeline(saved[0], ROUTES, CPU, resolution=31)
    with pytest.raises(UserError, match="input_size 15 is not a multiple of patch_size 2"):
        load_pipeline(saved[0], ROUTES, CPU, resolution=30)


def test_missing_libraries_are_one_sentence(saved: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(UserError, match=r"needs diffusers 0.36 .* one of them is missing or too old; pip install"):
        load_pipeline(saved[0], ROUTES, CPU)

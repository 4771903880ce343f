"""`sgbench models`: published families and checkpoints: list, info, fetch, convert, check."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench.base.errors import UserError
from sgbench.base.registry import load_installed
from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, emit, emit_file, entry_named, fetch_to, group
from sgbench.files.digest import recorded_sha256, sha256_of
from sgbench.files.location import HUB, is_remote, local_path, models_folder
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.models.own import MODELS
from sgbench.models.public import PUBLIC

models = group("models", "Models: list, info, fetch, convert, check.")


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """Families, embedded models and public checkpoints, and which of these are on this machine."""
    checkpoints = [
        {**public._asdict(), "path": str(public.path), "fetched": public.path.is_file()} for public in PUBLIC.values()
    ]
    embedded = catalogue.embedded_names()
    load_installed()
    installed = {name: origin.text for name, (_, origin) in MODELS.offered.items()}
    lines = ["Families"]
    lines += [f"  {f.name:10}  {f.title}, {f.source}; predicts {f.prediction}; {f.drops}" for f in FAMILIES.values()]
    lines += ["Embedded models", *(f"  {name}" for name in embedded)]
    lines.append(f"Public checkpoints (looked for in {models_folder()})")
    for entry in checkpoints:
        there = "fetched" if entry["fetched"] else "not fetched"
        note = f"; {entry['note']}" if entry["note"] else ""
        lines.append(f"  {entry['name']:24}  {there:11}  {entry['licence']}{note}")
    if installed:
        lines += ["Models of installed packages", *(f"  {name:24}  {origin}" for name, origin in installed.items())]
    families = {f.name: {"source": f.source, "predicts": f.prediction} for f in FAMILIES.values()}
    emit({"families": families, "embedded": embedded, "public": checkpoints, "installed": installed}, as_json, *lines)


@models.command()
def info(
    name: Annotated[str, typer.Argument(metavar="MODEL|FILE", help="A model's name, or a checkpoint file.")],
    as_json: Json = False,
) -> None:
    """What a model is, or what is in a checkpoint file."""
    found = _describe_file(Path(name)) if Path(name).is_file() else _describe_model(name)
    texts = {key: ", ".join(map(str, v)) if isinstance(v, list) else v for key, v in found.items()}
    emit(found, as_json, *(f"{key:14}  {text}" for key, text in texts.items()))


@models.command()
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A public checkpoint, an address, hf://OWNER/NAME/FILE, or a hub id.")
    ],
    sha256: Annotated[str | None, typer.Option(help="The digest the file must have.")] = None,
    as_json: Json = False,
) -> None:
    """Download a checkpoint or an autoencoder; the same command again resumes or does nothing."""
    if name not in PUBLIC and name.count("/") == 1:
        found = [str(path) for path in _fetch_autoencoder(name)]
        emit({"paths": found}, as_json, *found)
        return
    if name.count("/") > 1 and not is_remote(name) and not Path(name).exists():
        name = HUB + name
    if Path(name).is_file():
        source, target = name, Path(name)
    elif is_remote(name):
        source, target = name, local_path(name)
    else:
        public = entry_named("public checkpoint", name, PUBLIC, "MODEL", "see `sgbench models list`")
        source, target = public.source, public.path
        make_progress().say(f"{public.name}: {public.source}, licence {public.licence}")
    if recorded_sha256(target) is None or sha256 not in (None, recorded_sha256(target)):
        fetch_to(target, source, sha256)
    emit_file(target, as_json)


@models.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A checkpoint file.")],
    out: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Unpickle in a separate process. It may run code: ask who made it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the weights in a checkpoint (EMA where there is one) as safetensors."""
    from sgbench.networks.convert import convert as convert_file

    done = convert_file(source, out, trust_pickle)
    emit(done, as_json, f"{out}: {done['tensors']} tensors from {done['picked']}")


@models.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Golden files; see tests/golden/README.md.")],
    as_json: Json = False,
) -> None:
    """Replay recorded runs of published implementations; exit status 1 if any differs too much."""
    from sgbench.networks.check import check_file

    report = []
    for path in files:
        family, cases = check_file(path)
        for case in cases:
            # JSON has no word for infinity or NaN.
            error = case.error if math.isfinite(case.error) else None
            outcome = {**case._asdict(), "error": error, "passed": case.passed}
            report.append({"file": str(path), "family": family.name, **outcome})
            if not as_json:
                verdict = "ok" if case.passed else "FAILED"
                measured = f"error {case.error:.1e} of {case.tolerance:g}"
                print(f"{path.name:30}  {family.name:9}  {case.name:26}  {measured}  {verdict}")
    failures = sum(not entry["passed"] for entry in report)
    text = f"{len(files)} files, {len(report)} cases, {failures} failed"
    emit({"passed": not failures, "cases": report}, as_json, text)
    if failures:
        raise typer.Exit(1)


def _describe_model(name: str) -> dict[str, Any]:
    entry = catalogue.entry(name, "MODEL")
    found: dict[str, Any] = {
        "name": entry.name,
        "family": f"{entry.family.name} ({entry.family.source})",
        "predicts": entry.family.prediction,
        "drops": "; ".join(filter(None, (entry.family.drops, entry.family.note))),
        "samplers": list(entry.family.samplers),
        "image": f"{entry.image_side} x {entry.image_side}",
        "sample": " x ".join(map(str, entry.architecture.sample_shape)),
        "tokens": entry.architecture.grid_tokens,
        "sha256": entry.checkpoint_hashes("none")["main"],
    }
    public = entry.public
    if public is not None:
        found |= {"from": public.source, "looked for at": str(public.path), "licence": public.licence}
        found |= {"note": public.note} if public.note else {}
    return found


def _describe_file(path: Path) -> dict[str, Any]:
    from sgbench.models.describe import describe_state
    from sgbench.networks.checkpoints import pick_weights, read_content

    state, picked = pick_weights(read_content(path), str(path))
    return {"file": str(path), "sha256": sha256_of(path), "picked": picked, **describe_state(state)}


def _fetch_autoencoder(name: str) -> list[Path]:
    """Fetch an autoencoder's configuration and weights into the hub's own cache."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        fix = "pip install 'sgbench[hf]'"
        raise UserError("the Hugging Face hub client is not installed", where=name, fix=fix) from error
    found = []
    for file in ("config.json", "diffusion_pytorch_model.safetensors"):
        try:
            found.append(Path(hf_hub_download(name, file)))
        except Exception as error:
            # The client raises errors of many libraries; each means that the file could not be fetched.
            what = f"{file} could not be fetched ({str(error).splitlines()[0]})"
            fix = "check the id and the connection, or put a local folder in the suite as `autoencoder`"
            raise UserError(what, where=name, fix=fix) from error
    return found

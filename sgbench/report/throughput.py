"""The report of a suite without metrics: what sparsity promises in MACs and what the clock says."""

from __future__ import annotations

import json

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.points import settings_text
from sgbench.suite.schema import Suite


def throughput_files(suite: Suite, rows: pd.DataFrame) -> tuple[dict[str, bytes], list[str]]:
    """table.csv, table.md and report.json, and the sentences on top of them."""
    table = throughput_table(rows)
    sentences = [
        "No quality was measured in this suite: it has no metrics.",
        *(["Weights are random: times and MACs are real, images are not."] if "random" in set(rows["weights"]) else []),
    ]
    notes = [
        "MAC ratio and speed-up are against the first cell of the same model, in this run, on this device: "
        f"{', '.join(sorted(set(rows['device'])))}, batch {', '.join(map(str, sorted(set(rows['batch']))))}.",
        "Seconds are of sampling; decoding is beside them.",
    ]
    lines = [
        f"# {suite.title}",
        *(f"- {s}" for s in sentences),
        "",
        table.astype(object).fillna("").to_markdown(index=False),
        "",
        *notes,
        "",
    ]
    files = {
        "table.csv": table.to_csv(index=False, lineterminator="\n").encode(),
        "table.md": "\n".join(lines).encode(),
    }
    document = {"suite": suite.suite, "headline": sentences, "others": [], "files": sorted([*files, "report.json"])}
    files["report.json"] = (json.dumps(document, indent=1) + "\n").encode()
    return files, sentences


def throughput_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell; ratios against the first cell of its model."""
    first = rows.groupby("model", sort=False)[["gmacs_per_image", "seconds_per_image"]].transform("first")
    return pd.DataFrame(
        {
            "model": rows["model"],
            "weights": rows["weights"],
            "dropped tokens": rows["dropped_tokens"],
            "rule": [RULES[rule].title for rule in rows["guidance"]],
            "settings": [settings_text(row) for _, row in rows.iterrows()],
            "GMACs/image": rows["gmacs_per_image"].round(3),
            "MAC ratio": (first["gmacs_per_image"] / rows["gmacs_per_image"]).round(3),
            "s/image": rows["seconds_per_image"].round(5),
            "images/s": rows["images_per_second"].round(3),
            "speed-up": (first["seconds_per_image"] / rows["seconds_per_image"]).round(3),
            "decode GMACs/image": rows["decode_gmacs_per_image"],
            "decode s/image": rows["decode_seconds_per_image"],
            "N": rows["samples"],
            "cell": rows["cell"],
        }
    )

"""A suite without metrics: theoretical speed-up in MACs, and measured speed-up."""

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.answers.answer import Section
from sgbench.report.select_rows import settings_text


def throughput_words(rows: pd.DataFrame) -> tuple[list[str], list[Section]]:
    """The summary, and the section that holds the table."""
    ratios = throughput_table(rows)
    most = ratios.iloc[int(ratios["MAC ratio"].to_numpy().argmax())]
    summary = [
        "No quality was measured in this suite: it has no metrics.",
        *(
            ["Weights are random: times and MACs are meaningful, images are not."]
            if "random" in set(rows["weights"])
            else []
        ),
        f"The sparsest cell ({most['model']}, {most['rule']}, {most['settings']}) needs {most['MAC ratio']:.2f} times "
        f"fewer MACs than the first cell of its model and is {most['speed-up']:.2f} times as fast.",
    ]
    devices = ", ".join(sorted(set(rows["device"])))
    batches = ", ".join(str(batch) for batch in sorted(set(rows["batch"])))
    note = (
        "MAC ratio and speed-up are relative to the first cell of the same model, in this run, on this device: "
        f"{devices}, batch {batches}. Seconds are sampling only; decoding is listed separately."
    )
    return summary, [Section("Theoretical and measured speed-up", [], ratios.drop(columns="cell"), note)]


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

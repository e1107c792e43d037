"""Run every contender in this process, print ratios, refresh docs/performance.md.

python -m benchmarks            # a quarter of an hour; close other programs
python -m benchmarks --quick    # one case of each kind, writes nothing
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.activations import NOISE_STD, random_clouds, trained_clouds
from benchmarks.contenders import (
    Case,
    density_pairs_per_second,
    layer_pairs_per_second,
    pairs_per_second,
)
from benchmarks.epochs import fit_table, memory_sentence, trajectory_sentence
from benchmarks.parallel import parallel_table
from benchmarks.tables import markdown_table
from benchmarks.timing import interleaved
from skib._numerics.binning import number_rows

DOCS = Path(__file__).parents[1] / "docs"
MARKS = "<!-- measured: start -->", "<!-- measured: end -->"
DENSE = [
    *((n, 5, 0.1) for n in (4096, 65536)),
    *((16384, d, noise) for noise in (0.005, 0.1, 0.5) for d in (3, 5, 10, 32)),
]
DENSITIES = [(16384, d, noise) for noise in (0.005, 0.1) for d in (3, 5, 10, 32)]
BINNED = [(4096, 10), (65536, 10), (65536, 50)]


def dense_table(cases):
    """Million pairs per second, and times faster than cdist + logsumexp."""
    rows, names = [], []
    for n_centers, n_features, noise_std in cases:
        clouds = random_clouds(n_centers, n_features)
        found = pairs_per_second(Case(clouds, noise_std, min(n_centers, 16384)))
        names = list(found)
        base = found["torch cdist + logsumexp"]
        cells = [f"{rate / 1e6:.0f} ({rate / base:.1f}x)" for rate in found.values()]
        share = found["skib numba"] / found["roofline"]
        rows.append([n_centers, n_features, noise_std, *cells, f"{share:.0%}"])
        print(*rows[-1], sep="  ", flush=True)
    start = ["centres", "units", "noise_std"]
    return markdown_table([*start, *names, "numba / roofline"], rows)


def density_table(cases):
    """Million pairs per second, and their ratio."""
    rows, names = [], []
    for n_centers, n_features, noise_std in cases:
        case = Case(random_clouds(n_centers, n_features), noise_std, n_centers)
        found = density_pairs_per_second(case)
        names = list(found)
        ours, theirs = found.values()
        cells = [f"{ours / 1e6:.0f}", f"{theirs / 1e6:.0f}", f"{ours / theirs:.1f}x"]
        rows.append([n_centers, n_features, noise_std, *cells])
        print(*rows[-1], sep="  ", flush=True)
    start = ["centres", "units", "noise_std"]
    return markdown_table([*start, *names, "ratio"], rows)


def layers_table():
    """Cost of the kernel sums of every layer of a trained net, 128 draws per input."""
    rows = []
    for depth, clouds in enumerate(trained_clouds(), start=1):
        found = {}
        for engine in ("numba", "torch"):
            case = Case(clouds, NOISE_STD, 4096)
            n_blocks = min(4, clouds.shape[1])
            levels = torch.eye(n_blocks)[:, None].expand(-1, n_blocks, -1)
            options = {"engine": engine, "levels": levels}
            kept = case.sums(**options).kept_fraction
            task = {"sums": lambda c=case, o=options: c.sums(**o)}
            found[engine] = interleaved(task, repeats=2)["sums"]
        rates = layer_pairs_per_second(Case(clouds, NOISE_STD, 4096))
        base = rates.pop("torch cdist + logsumexp")
        rows.append(
            [
                depth,
                clouds.shape[2],
                f"{kept:.1%}",
                f"{found['numba']:.2f}",
                f"{found['torch']:.2f}",
                *(f"{rate / base:.1f}x" for rate in rates.values()),
            ]
        )
        print(*rows[-1], sep="  ", flush=True)
    header = ["layer", "units", "kept", "numba, s", "torch, s"]
    return markdown_table([*header, *rates], rows)


def binned_table():
    """Milliseconds to number the distinct rows of codes of 30 bins per unit."""
    rows = []
    for n_rows, n_columns in BINNED:
        generator = np.random.default_rng(0)
        codes = generator.integers(30, size=(n_rows, n_columns)).astype(np.uint8)
        seconds = interleaved(
            {
                "number_rows": lambda c=codes: number_rows(c, 30),
                "np.unique": lambda c=codes: np.unique(c, axis=0, return_inverse=True),
            },
            repeats=9,
        )
        ours, theirs = seconds.values()
        cells = [f"{1e3 * ours:.2f}", f"{1e3 * theirs:.2f}", f"{theirs / ours:.0f}x"]
        rows.append([n_rows, n_columns, *cells])
        print(*rows[-1], sep="  ", flush=True)
    return markdown_table(
        ["rows", "units", "number_rows", "np.unique, inverse", "ratio"], rows
    )


def refresh(page, measured):
    """Put what was measured between the marks of the page."""
    start, end = MARKS
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(start)
    _, tail = rest.split(end)
    page.write_text(f"{head}{start}\n{measured}\n{end}{tail}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    if not quick:
        # Imported here: only the picture needs matplotlib. It sets one thread.
        from benchmarks.scaling import draw

        draw(DOCS / "performance.png")
    torch.set_num_threads(1)
    sections = {
        "Dense sums, million pairs per second of one thread": dense_table(
            [(16384, 5, 0.1)] if quick else DENSE
        ),
        "Log-densities, million pairs per second of one thread": density_table(
            [(16384, 5, 0.1)] if quick else DENSITIES
        ),
        "All layers of one epoch, kernel sums alone": layers_table(),
        "All layers of one epoch, the whole fit": "\n\n".join(
            [fit_table(), trajectory_sentence(), memory_sentence()]
        ),
        "One core and two, seconds on the wall": "" if quick else parallel_table(),
        "Rows of bins numbered, milliseconds": binned_table(),
    }
    if not quick:
        text = "\n\n".join(f"## {title}\n\n{t}" for title, t in sections.items())
        refresh(DOCS / "performance.md", text)


if __name__ == "__main__":
    main()

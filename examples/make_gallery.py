"""Run all examples and show their pictures on one page, results/gallery/index.html.

    python examples/make_gallery.py
    python examples/make_gallery.py --full   # and the trainings whose tables are kept
    python examples/make_gallery.py examples/paper/*.py    # these alone are run again

Each example runs in a process of its own, without a display. One that fails is named on
the page and at the end, and the others go on.
"""

import argparse
import ast
import html
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = Path("results") / "gallery"
# Makes the tables that an example draws, which are kept with it.
TRAINING = "paper/train_szt_variants.py"
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Examples of skib</title>
<style>
body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
img {{ max-width: 100%; display: block }}
section {{ margin-bottom: 3em }}
</style>
<h1>Examples of skib</h1>
{body}
</html>
"""


def main():
    """Make the gallery; the exit status is the number of examples that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="train anew too")
    parser.add_argument("scripts", nargs="*", type=Path, help="run these alone again")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        run_and_save(arguments.one)
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    if arguments.full:
        subprocess.run([sys.executable, HERE / TRAINING], check=True)
    chosen = {script.resolve() for script in arguments.scripts}
    body, failed = [], []
    for folder in sorted(header.parent for header in HERE.glob("*/GALLERY_HEADER.rst")):
        title, text = headline(folder.joinpath("GALLERY_HEADER.rst").read_text("utf-8"))
        body.append(f"<h2>{html.escape(title)}</h2>\n<p>{html.escape(text)}</p>")
        for script in sorted(folder.glob("plot_*.py")):
            succeeded, started = True, time.monotonic()
            run = not chosen or script.resolve() in chosen
            if run:
                succeeded = run_apart(script)
                seconds = time.monotonic() - started
                print(f"{seconds:5.0f} s  {script.relative_to(HERE)}", flush=True)
            if run or pictures_of(script):
                body.append(section(script, succeeded=succeeded))
            if not succeeded:
                failed.append(script)
            # After each, so that the page can be looked at meanwhile.
            page = PAGE.format(body="\n".join(body))
            RESULTS.joinpath("index.html").write_text(page, "utf-8")
    for script in failed:
        print(f"failed: {script.relative_to(HERE)}, see {log_of(script)}")
    print(f"gallery: {RESULTS / 'index.html'}")
    return len(failed)


def run_apart(script):
    """Run an example in a new process; its pictures and output go to the results."""
    for picture in pictures_of(script):
        picture.unlink()
    with log_of(script).open("w", encoding="utf-8") as log:
        finished = subprocess.run(
            [sys.executable, __file__, "--one", str(script)],
            check=False,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"},
        )
    return finished.returncode == 0


def run_and_save(script):
    """Run an example here, and save its open figures where it would show them."""
    import matplotlib.pyplot as plt

    def save():
        for number in plt.get_fignums():
            plt.figure(number).savefig(RESULTS / f"{script.stem}_{number}.png", dpi=120)

    plt.show = save
    runpy.run_path(str(script), run_name="__main__")


def section(script, *, succeeded):
    """Return the part of the page about one example."""
    title, text = headline(ast.get_docstring(ast.parse(script.read_text("utf-8"))))
    source = Path(os.path.relpath(script, RESULTS)).as_posix()
    lines = [
        f'<section id="{script.stem}">',
        f"<h3>{html.escape(title)}</h3>",
        f"<p>{html.escape(text)}</p>",
        *(
            f'<img src="{picture.name}" alt="{html.escape(title)}">'
            for picture in pictures_of(script)
        ),
        "" if succeeded else "<p><strong>This example failed.</strong></p>",
        f'<p><a href="{source}">{script.name}</a>, '
        f'<a href="{log_of(script).name}">what it prints</a></p>',
        "</section>",
    ]
    return "\n".join(filter(None, lines))


def headline(text):
    """Return the title of a text, which is underlined, and its first paragraph."""
    title, _, *rest = text.strip().splitlines()
    paragraph = "\n".join(rest).strip().split("\n\n")[0]
    return title, " ".join(paragraph.split())


def pictures_of(script):
    """Return the pictures that an example has left, in the order of its figures."""
    found = RESULTS.glob(f"{script.stem}_*.png")
    return sorted(found, key=lambda path: int(path.stem.rpartition("_")[2]))


def log_of(script):
    """Return where the output of an example goes."""
    return RESULTS / f"{script.stem}.txt"


if __name__ == "__main__":
    sys.exit(main())

"""Tables of the page. Its prose is written by hand, between them."""

import re

import numpy as np

from benchmarks.tables import markdown_table
from benchmarks.yardstick.contenders import FROM_ACTIVATIONS, FROM_WEIGHTS
from benchmarks.yardstick.results import NEAR, TRUTH_KNOWN_TO

SUMMARY = [
    *(
        "contender",
        "problems",
        "median off",
        "worst off",
        "best or within its error, %",
    ),
    *(f"within {NEAR} of the best, %", "2 SE cover, %", "CPU s, median"),
]


def tables(results):
    """Everything that the page shows of one run, by mark."""
    return {
        "summary": summary_table(results),
        "claim": claim(results),
        "losses": losses_table(results),
        "families": families_table(results),
        "problems": problems_table(results),
    }


def fill_page(page, parts):
    """Put fresh tables between the marks of the page."""
    text = page.read_text()
    for name, part in parts.items():
        mark, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        between = re.compile(f"{mark}.*?{end}", flags=re.DOTALL)
        # A function: backslashes of the new text stand for themselves.
        text = between.sub(lambda _, m=mark, p=part, e=end: f"{m}\n{p}\n{e}", text)
    page.write_text(text)


def summary_table(results):
    return markdown_table(SUMMARY, [_summary(results, c) for c in results.contenders])


def _summary(results, contender):
    found = results.of(contender)
    off = [r.off for r in found]
    coverage = results.coverage(contender)
    return [
        *(contender, len(found), f"{np.median(off):.4f}", f"{max(off):.3f}"),
        percent(results.share_near_best(contender)),
        percent(results.share_near_best(contender, own_error=False)),
        "none stated" if coverage is None else percent(coverage),
        f"{np.median([r.seconds for r in found]):.2g}",
    ]


def percent(share):
    return f"{100 * share:.0f}"


def claim(results):
    """Say how often skib is the best, from weights and without them."""

    def share(contender, **how):
        return percent(results.share_near_best(contender, **how))

    def knows_no_weights(r):
        return r.contender != FROM_WEIGHTS

    return "\n".join(
        [
            f"- From the weights: best or within its own error of the best on "
            f"{share(FROM_WEIGHTS)} % of {len(results.problems)} problems; within "
            f"{NEAR} nats of the best, errors aside, on "
            f"{share(FROM_WEIGHTS, own_error=False)} %. Another is nearer by more than "
            f"{TRUTH_KNOWN_TO} nats on {len(results.losses(FROM_WEIGHTS))}.",
            f"- From activations alone: {share(FROM_ACTIVATIONS)} % and "
            f"{share(FROM_ACTIVATIONS, own_error=False)} %; among those that do not "
            f"know the weights {share(FROM_ACTIVATIONS, among=knows_no_weights)} % and "
            + share(FROM_ACTIVATIONS, among=knows_no_weights, own_error=False)
            + " %.",
        ]
    )


def losses_table(results):
    """Where another one is nearer than the network-aware estimator."""
    rows = [
        [
            *(own.problem.name, f"{own.problem.truth:.3f}", cell(own)),
            *(best.contender, cell(best)),
        ]
        for own, best in results.losses(FROM_WEIGHTS)
    ]
    header = ["problem", "truth", FROM_WEIGHTS, "nearest", "its error"]
    return markdown_table(header, rows)


def families_table(results):
    """Median error of each contender on each family of problems."""
    families = list(dict.fromkeys(p.family for p in results.problems))
    rows = []
    for contender in results.contenders:
        found = results.of(contender)
        offs = [[r.off for r in found if r.problem.family == f] for f in families]
        rows.append([contender, *(f"{np.median(o):.4f}" if o else "" for o in offs)])
    return markdown_table(["contender", *families], rows)


def coverage_table(results):
    """Share of runs that two and three standard errors cover."""
    header = ["contender", "runs", "2 SE cover, %", "3 SE cover, %", "worst off"]
    rows = []
    for contender in results.contenders:
        found = results.of(contender)
        covered = (percent(results.coverage(contender, n)) for n in (2, 3))
        worst = max(r.off for r in found)
        rows.append([contender, len(found), *covered, f"{worst:.3f}"])
    return markdown_table(header, rows)


def problems_table(results):
    """Every error, the smallest of a problem in bold."""
    rows = []
    for problem in results.problems:
        truth = f"{problem.truth:.4f} ± {problem.truth_error:.0e}"
        best = results.best(problem)
        found = (results.at(problem, c) for c in results.contenders)
        cells = (cell(r, is_best=r is best) for r in found)
        rows.append([problem.name, problem.n_units, truth, *cells])
    header = ["problem", "units", "truth", *results.contenders]
    return markdown_table(header, rows)


def cell(result, *, is_best=False):
    """Error, stated standard error, and a mark where two of those do not reach."""
    if result is None:
        return ""
    text = f"{result.error:+.4f}" if result.off < 0.1 else f"{result.error:+.2f}"
    if is_best:
        text = f"**{text}**"
    if not result.states_error:
        return text
    return f"{text} ± {result.std_error:.2g}" + ("" if result.is_covered() else " (!)")

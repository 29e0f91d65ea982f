"""Figures as SVG: curves of recipes that are compared, and where attention looked.

The same results give the same bytes: no date, no random ids, every point rounded by whoever
wrote it. matplotlib is loaded only when something is drawn.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from services.cli.headlines import SHARES, name
from services.cli.results import Result, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_POINTS = 60  # of one line: more cannot be told apart
DECADES = 1e3  # a loss that falls by more is told by powers of ten alone
LARGEST_MAP = 48  # pieces to a side; a larger map is cut
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "malgil",
    "svg.fonttype": "none",  # text stays text: whoever shows it has a font for every script
    "font.family": ["DejaVu Sans", "sans-serif"],
    "text.parse_math": False,  # a piece with a $ is no formula
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "font.size": 9,
    "axes.prop_cycle": "cycler('color', ['#0072b2', '#d55e00', '#009e73', '#cc79a7', "
    "'#e69f00', '#56b4e9', '#000000', '#8c564b'])",  # told apart by everyone: Okabe and Ito 2008
}


def curves(results: Mapping[str, Sequence[Result]], metric: str) -> bytes:
    """Draw losses, and ``metric`` if it was measured on the way; a line for each recipe.

    They go by updates, which are the same on every machine. Of several seeds the first is drawn.
    The loss of training is thin, that of held-out examples thick.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    scored = any(metric in point for runs in results.values() for point in runs[0].curve)
    with drawing(1 + scored, width=5.0, height=3.6) as (figure, axes):
        for number, (recipe, runs) in enumerate(results.items()):
            colour = f"C{number}"
            _line(axes[0], runs[0], "loss", color=colour, linewidth=0.6, alpha=0.6)
            _line(axes[0], runs[0], "valid_loss", color=colour, linewidth=1.6, label=recipe)
            if scored:
                scale = 100.0 if metric in SHARES else 1.0
                _line(axes[1], runs[0], metric, scale, color=colour, linewidth=1.6, label=recipe)
        axes[0].set(xlabel="updates", ylabel="loss per token", yscale="log")
        low, high = axes[0].get_ylim()
        between = (1.0, 2.0, 5.0) if high < DECADES * low else (1.0,)
        axes[0].yaxis.set_major_locator(LogLocator(subs=between))
        axes[0].yaxis.set_major_formatter("{x:g}")
        axes[0].yaxis.set_minor_formatter(NullFormatter())
        if scored:
            unit = ", %" if metric in SHARES else ""
            axes[1].set(xlabel="updates", ylabel=f"{name(metric)}{unit}")
        axes[-1].legend(fontsize=7, frameon=False)
        return svg(figure)


def attention(maps: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw ``maps``: pieces of the source from left to right, of the output from above."""
    width = max(min(len(one["source"]), LARGEST_MAP) for one in maps)
    height = max(min(len(one["output"]), LARGEST_MAP) for one in maps)
    size = {"width": 1.0 + 0.19 * width, "height": 1.0 + 0.19 * height}
    with drawing(len(maps), **size) as (figure, axes):
        for one, place in zip(maps, axes, strict=True):
            source, output = one["source"][:LARGEST_MAP], one["output"][:LARGEST_MAP]
            weights = [row[: len(source)] for row in one["weights"][: len(output)]]
            place.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, interpolation="none")
            place.grid(visible=False)
            turned = 90 if max(map(len, source)) > 2 else 0
            place.set_xticks(range(len(source)), source, rotation=turned)
            place.set_yticks(range(len(output)), output)
            place.tick_params(length=0, labelsize=7, labeltop=True, labelbottom=False)
        return svg(figure)


def bars(results: Mapping[str, Sequence[Result]], metrics: Sequence[str]) -> bytes:
    """Draw ``metrics``, each out of 100, side by side: a bar for each of ``results``.

    Of several seeds the first is drawn.
    """
    wide = 0.8 / len(results)
    with drawing(1, width=10.0, height=3.6) as (figure, axes):
        for number, (label, runs) in enumerate(results.items()):
            at = [place + (number + 0.5) * wide - 0.4 for place in range(len(metrics))]
            heights = [
                (100.0 if one in SHARES else 1.0) * (runs[0].metrics.get(one) or 0.0)
                for one in metrics
            ]
            axes[0].bar(at, heights, wide, label=label)
        axes[0].set_xticks(range(len(metrics)), [name(one) for one in metrics])
        axes[0].set(ylabel="out of 100")
        axes[0].grid(visible=False, axis="x")
        axes[0].legend(fontsize=7, frameon=False)
        return svg(figure)


def _line(axes: "Axes", run: Result, key: str, scale: float = 1.0, **style: Any) -> None:
    points = [point for point in run.curve if point.get(key) is not None]
    points = thinned(points, SHOWN_POINTS)
    axes.plot(
        [point["step"] for point in points], [scale * point[key] for point in points], **style
    )


@contextmanager
def drawing(
    columns: int, *, width: float, height: float
) -> Iterator[tuple["Figure", list["Axes"]]]:
    """Make ``columns`` drawings beside each other, each of so many inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)
        yield figure, list(axes[0])


def svg(figure: "Figure") -> bytes:
    """Return what was drawn as a file."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()

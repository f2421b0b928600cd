"""The map of interest points: near in meaning is near on the page, drawn as a PNG in memory.

For people only; nothing is computed from it. No pyplot, so no state is shared with other figures.
"""

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.transforms import Bbox

from ml.contracts.vectors import vectors_to_matrix
from ml.ids import FloatArray

COLOURS = {"tag": "#4477aa", "category": "#228833", "keyphrase": "#ee7733", "theme": "#aa3377"}
# Tried after the default font, which has no Chinese glyphs; a name no font can write goes unlabelled.
DEFAULT_FONT = "DejaVu Sans"
CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Arial Unicode MS",
)
# More points would take longer and be a blot.
MAX_POINTS = 400
MIN_POINTS_FOR_TSNE = 12
MAX_LABEL_LENGTH = 28
FONT_SIZE = 8
SEED = 7


def interest_map(points: pa.Table, *, max_labels: int = 60) -> bytes:
    """PNG of the interest points that most items carry (400 at most), coloured by kind, the largest named.

    The same table gives the same picture; an empty one gives an empty map.
    """
    shown = points.sort_by([("num_items", "descending"), ("interest_id", "ascending")]).slice(0, MAX_POINTS)
    figure = Figure(figsize=(11, 8), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92), xticks=[], yticks=[])
    names = shown.column("name").to_pylist()
    axes.set_title(_title(names, num_points=points.num_rows))
    if names:
        position_P2 = lay_out(vectors_to_matrix(shown.column("vector")))
        _scatter(axes, shown, position_P2=position_P2)
        _label(axes, canvas, names=names, position_P2=position_P2, limit=max_labels)
    buffer = BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def lay_out(vectors_PD: FloatArray) -> FloatArray:
    """Positions in the plane, shape [P, 2]: t-SNE (van der Maaten & Hinton, JMLR 9, 2008) from a PCA start.

    A handful of points, or points all alike, stay where PCA puts them.
    """
    centred = vectors_PD.astype(np.float64) - vectors_PD.mean(axis=0, dtype=np.float64)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(vectors_PD), 2))
    plane[:, : min(2, len(scale))] = (left * scale)[:, :2]
    spread = plane.std()
    if len(plane) < MIN_POINTS_FOR_TSNE or spread < 1e-9:
        return plane.astype(np.float32)
    # scikit-learn takes seconds to import, which every process that only knows of the map would pay.
    from sklearn.manifold import TSNE  # noqa: PLC0415

    start = (plane / spread * 1e-4).astype(np.float32)
    projection = TSNE(init=start, perplexity=min(30.0, len(plane) / 4), random_state=SEED, max_iter=500, n_jobs=1)
    return np.asarray(projection.fit_transform(vectors_PD), dtype=np.float32)


@lru_cache(maxsize=4096)
def font_for(name: str) -> str | None:
    """The first font here that has every glyph of a name; None where no font does."""
    installed = {font.name for font in fontManager.ttflist}
    wanted = {ord(character) for character in name if not character.isspace()}
    for family in (DEFAULT_FONT, *CJK_FONTS):
        if family in installed and wanted <= get_font(findfont(FontProperties(family=[family]))).get_charmap().keys():
            return family
    return None


def _title(names: Sequence[str], *, num_points: int) -> str:
    title = f"Interest points: the {len(names)} of {num_points} that most items carry, near in meaning is near here"
    unwritten = sum(font_for(name) is None for name in names)
    return f"{title}\n{unwritten} without a name: no font here has its characters" if unwritten else title


def _scatter(axes: Axes, shown: pa.Table, *, position_P2: FloatArray) -> None:
    num_items_P = np.asarray(shown.column("num_items"), dtype=np.float64)
    kinds = np.asarray(shown.column("kind").to_pylist(), dtype=object)
    for kind, colour in COLOURS.items():
        of_kind = kinds == kind
        if of_kind.any():
            sizes = 12 + 240 * num_items_P[of_kind] / num_items_P.max()
            axes.scatter(position_P2[of_kind, 0], position_P2[of_kind, 1], s=sizes, c=colour, alpha=0.4, linewidths=0, label=kind)
    axes.legend(loc="lower right", frameon=False)


def _label(axes: Axes, canvas: FigureCanvasAgg, *, names: Sequence[str], position_P2: FloatArray, limit: int) -> None:
    """Write names from the most carried down, leaving out those that would cover one already written."""
    # Until then the axes' limits, and with them every box below, are not final.
    axes.autoscale_view()
    renderer = canvas.get_renderer()
    written: list[Bbox] = []
    for name, position in zip(names, position_P2, strict=True):
        family = font_for(name) if len(written) < limit else None
        if family is None:
            continue
        text = axes.text(position[0], position[1], _plain(name), fontsize=FONT_SIZE, family=family, ha="center", va="center")
        box = text.get_window_extent(renderer)
        if any(box.overlaps(other) for other in written):
            text.remove()
        else:
            written.append(box)


def _plain(name: str) -> str:
    """A dollar would start mathematics, and long names cover the map."""
    return textwrap.shorten(name, MAX_LABEL_LENGTH, placeholder="…").replace("$", r"\$")

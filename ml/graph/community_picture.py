"""The map of communities: a disc each, as large as its items are many, joined where their members are.

For people only; nothing is computed from it. No pyplot, so no state is shared with other figures. Shapes: C communities.
"""

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ml.graph.picture import MAX_LABEL_LENGTH, font_for
from ml.ids import IntArray

Floats = npt.NDArray[np.float64]

# More discs would hide each other; more lines would hide the discs.
MAX_COMMUNITIES = 60
MAX_LINES = 150
_STEPS = 200
_COLOURS = ("#4477aa", "#228833", "#ee7733", "#aa3377", "#66ccee", "#ccbb44", "#bbbbbb")


def community_map(communities: pa.Table, between_CC: sp.csr_array) -> bytes:
    """PNG of the communities with most items (60 at most), named; lines for the strongest joins (150 at most).

    `communities` is the table in the order of `between_CC` (weight of edges between them). The same
    input gives the same picture; an empty one gives an empty map.
    """
    num_items_C = np.asarray(communities.column("num_items"), dtype=np.int64)
    shown = np.lexsort((np.arange(len(num_items_C)), -num_items_C))[:MAX_COMMUNITIES]
    joins_CC = _without_diagonal(sp.csr_array(between_CC)[shown][:, shown])
    figure = Figure(figsize=(11, 8), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92), xticks=[], yticks=[])
    names = communities.column("name").take(pa.array(shown)).to_pylist()
    axes.set_title(_title(names, num_communities=communities.num_rows))
    if len(shown):
        position_C2 = spring_layout(joins_CC)
        _draw_lines(axes, joins_CC, position_C2=position_C2)
        _draw_discs(axes, names, num_items_C[shown], position_C2=position_C2)
    buffer = BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def spring_layout(joins_CC: sp.csr_array) -> Floats:
    """Positions in the plane, shape [C, 2]: joined discs pull, all push (Fruchterman & Reingold, 1991), from a circle in table order."""
    num_discs = joins_CC.shape[0]
    pull_CC = joins_CC.toarray()
    pull_CC = np.sqrt(pull_CC / pull_CC.max()) if pull_CC.max(initial=0.0) > 0 else pull_CC
    angle_C = 2 * np.pi * np.arange(num_discs) / max(num_discs, 1)
    position_C2 = np.stack([np.cos(angle_C), np.sin(angle_C)], axis=1) / 2
    wanted = 1.0 / np.sqrt(max(num_discs, 1))
    for reach in np.linspace(0.1, 0.001, _STEPS):
        gap_CC2 = position_C2[:, None] - position_C2[None]
        distance_CC = np.maximum(np.linalg.norm(gap_CC2, axis=2), 1e-6)
        force_CC = np.square(wanted) / np.square(distance_CC) - pull_CC * distance_CC / wanted - 0.05
        np.fill_diagonal(force_CC, 0.0)
        move_C2 = (gap_CC2 * force_CC[:, :, None]).sum(axis=1)
        length_C1 = np.maximum(np.linalg.norm(move_C2, axis=1, keepdims=True), 1e-9)
        position_C2 = position_C2 + move_C2 / length_C1 * np.minimum(length_C1, reach)
    return position_C2


def _title(names: list[str], *, num_communities: int) -> str:
    title = f"Communities: the {len(names)} of {num_communities} with most items, a disc as large as they are many"
    unwritten = sum(font_for(name) is None for name in names)
    return f"{title}\n{unwritten} without a name: no font here has its characters" if unwritten else title


def _without_diagonal(joins_CC: sp.csr_array) -> sp.csr_array:
    every = sp.coo_array(joins_CC)
    apart = every.row != every.col
    return sp.csr_array((every.data[apart], (every.row[apart], every.col[apart])), shape=joins_CC.shape)


def _draw_lines(axes: Axes, joins_CC: sp.csr_array, *, position_C2: Floats) -> None:
    joins = sp.coo_array(sp.triu(joins_CC, k=1))
    strongest = np.lexsort((joins.col, joins.row, -joins.data))[:MAX_LINES]
    if not len(strongest):
        return
    share = joins.data[strongest] / joins.data.max()
    segments = np.stack([position_C2[joins.row[strongest]], position_C2[joins.col[strongest]]], axis=1)
    axes.add_collection(LineCollection(list(segments), linewidths=0.3 + 5 * share, colors="#999999", alpha=0.45, zorder=1))


def _draw_discs(axes: Axes, names: list[str], num_items_C: IntArray, *, position_C2: Floats) -> None:
    size_C = 40 + 2500 * num_items_C / max(int(num_items_C.max()), 1)
    colours = [_COLOURS[place % len(_COLOURS)] for place in range(len(names))]
    axes.scatter(position_C2[:, 0], position_C2[:, 1], s=size_C, c=colours, alpha=0.6, linewidths=0.5, edgecolors="white", zorder=2)
    axes.margins(0.12)
    for name, place in zip(names, position_C2, strict=True):
        draw_name(axes, name, x=float(place[0]), y=float(place[1]))


def draw_name(axes: Axes, name: str, *, x: float, y: float, size: float = 8, side: str = "center") -> None:
    """A name at a place, cut where it is long; one that no font here can write is left out."""
    font = font_for(name)
    if font is not None and name.strip():
        cut = name if len(name) <= MAX_LABEL_LENGTH else name[: MAX_LABEL_LENGTH - 1] + "…"
        axes.text(x, y, cut, fontsize=size, family=[font], ha=side, va="center", parse_math=False, zorder=3)

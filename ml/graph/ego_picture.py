"""The surroundings of one user or item: what it is joined to, strongest first, as a PNG in memory.

For people only; nothing is computed from it. No pyplot, so no state is shared with other figures.
Shapes: M edges of the node, N neighbours shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ml.graph.community_picture import draw_name
from ml.graph.interest_graph import NODE_TYPES, InterestGraph
from ml.graph.picture import font_for
from ml.ids import BoolArray, IntArray

COLOURS = {"user": "#4477aa", "item": "#ee7733", "interest": "#228833", "entity": "#aa3377"}
Namer = Callable[[str, pa.Array], pa.Array]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Neighbours:
    """Nodes joined to one, each once: type as a position in `NODE_TYPES`, position within it, strength in (0, 1], relation."""

    type_N: IntArray
    index_N: IntArray
    strength_N: Floats
    relation_N: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.index_N)

    def take(self, chosen: IntArray) -> "Neighbours":
        """Some of them."""
        return Neighbours(self.type_N[chosen], self.index_N[chosen], self.strength_N[chosen], self.relation_N[chosen])


def ego_picture(graph: InterestGraph, *, node_type: str, node_id: str, names: Namer, max_neighbors: int = 30) -> bytes:
    """PNG of a node and its `max_neighbors` strongest neighbours, named by `names(type, ids)`; the same graph gives the same picture.

    Raises `UnknownIdError` for a node the graph does not have.
    """
    index = int(graph.vocabularies[node_type].positions([node_id])[0])
    every = neighbours(graph, node_type=node_type, index=index)
    shown = every.take(np.arange(min(max_neighbors, len(every))))
    # Types lie together on the ring.
    shown = shown.take(np.argsort(shown.type_N, kind="stable"))
    figure = Figure(figsize=(11, 9), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92), xticks=[], yticks=[], xlim=(-1.75, 1.75), ylim=(-1.35, 1.35))
    own_name, named = str(names(node_type, pa.array([node_id]))[0]), _names_of(graph, shown, names=names)
    title = f"The {len(shown)} strongest of {len(every)} neighbours of this {node_type}; a line as wide as it is strong"
    unwritten = sum(font_for(name) is None for name in [own_name, *named])
    axes.set_title(f"{title}\n{unwritten} without a name: no font here has its characters" if unwritten else title)
    _draw(axes, graph, shown, own_type=node_type, own_name=own_name, named=named)
    buffer = BytesIO()
    canvas.print_png(buffer)
    return buffer.getvalue()


def neighbours(graph: InterestGraph, *, node_type: str, index: int) -> Neighbours:
    """What a node is joined to in either direction: the strongest of every relation first, then the second of every relation, ..."""
    parts: list[tuple[int, IntArray, Floats, str]] = []
    for known, edges in graph.edges.items():
        for own, other, own_E, other_E in (
            (known.source, known.target, edges.source_index, edges.target_index),
            (known.target, known.source, edges.target_index, edges.source_index),
        ):
            rows = np.flatnonzero(own_E == index) if own == node_type else np.zeros(0, dtype=np.int64)
            if len(rows):
                weight_M = edges.weight[rows].astype(np.float64)
                parts.append((NODE_TYPES.index(other), other_E[rows], weight_M / weight_M.max(), known.relation))
    return _each_once(parts)


def _each_once(parts: list[tuple[int, IntArray, Floats, str]]) -> Neighbours:
    orders = [np.lexsort((index_M, -strength_M)) for _, index_M, strength_M, _ in parts]
    none = np.zeros(0, dtype=np.int64)
    every = Neighbours(
        type_N=np.concatenate([none, *(np.full(len(index_M), kind) for kind, index_M, _, _ in parts)]),
        index_N=np.concatenate([none, *(part[1][order] for part, order in zip(parts, orders, strict=True))]),
        strength_N=np.concatenate([np.zeros(0), *(part[2][order] for part, order in zip(parts, orders, strict=True))]),
        relation_N=np.concatenate([np.zeros(0, dtype=np.str_), *(np.full(len(part[1]), part[3]) for part in parts)]),
    )
    place_N = np.concatenate([none, *(np.arange(len(order)) for order in orders)])
    every = every.take(np.lexsort((every.index_N, every.type_N, -every.strength_N, place_N)))
    _, first = np.unique(np.stack([every.type_N, every.index_N]), axis=1, return_index=True)
    return every.take(np.sort(first))


def _draw(axes: Axes, graph: InterestGraph, shown: Neighbours, *, own_type: str, own_name: str, named: list[str]) -> None:
    angle_N = 2 * np.pi * np.arange(len(shown)) / max(len(shown), 1)
    position_N2 = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    _draw_joins(axes, graph, shown, position_N2=position_N2)
    spokes = np.stack([np.zeros_like(position_N2), position_N2], axis=1)
    colours = [COLOURS[NODE_TYPES[kind]] for kind in shown.type_N]
    axes.add_collection(LineCollection(list(spokes), linewidths=0.4 + 3.5 * shown.strength_N, colors=colours, alpha=0.5, zorder=1))
    axes.scatter(position_N2[:, 0], position_N2[:, 1], s=60 + 240 * shown.strength_N, c=colours, alpha=0.85, zorder=2)
    axes.scatter([0.0], [0.0], s=700, c=[COLOURS[own_type]], zorder=2)
    draw_name(axes, own_name, x=0.0, y=-0.13, size=11)
    _write_names(axes, shown, named, position_N2=position_N2)
    present = [kind for place, kind in enumerate(NODE_TYPES) if kind == own_type or np.any(shown.type_N == place)]
    handles = [Line2D([], [], marker="o", linestyle="", color=COLOURS[kind], label=kind) for kind in present]
    axes.legend(handles=handles, loc="lower right", frameon=False)


def _write_names(axes: Axes, shown: Neighbours, named: list[str], *, position_N2: Floats) -> None:
    """Each neighbour's name outside the ring; each relation's on the first line of it."""
    _, first_lines = np.unique(np.stack([shown.type_N.astype(str), shown.relation_N]), axis=1, return_index=True)
    for row in first_lines:
        x, y = 0.6 * position_N2[row]
        draw_name(axes, str(shown.relation_N[row]).replace("_", " "), x=float(x), y=float(y), size=7)
    for row, name in enumerate(named):
        x, y = position_N2[row]
        side = "left" if x > 0.1 else "right" if x < -0.1 else "center"
        # Neighbours at the top and bottom stand side by side: every second name a line further out.
        draw_name(axes, name, x=float(1.07 * x), y=float(y * (1.09 + 0.07 * (row % 2))), side=side)


def _draw_joins(axes: Axes, graph: InterestGraph, shown: Neighbours, *, position_N2: Floats) -> None:
    """Thin lines between neighbours that are joined themselves."""
    lines: list[Floats] = []
    for known, edges in graph.edges.items():
        source, target = (_place_of(graph, shown, node_type=kind) for kind in (known.source, known.target))
        ends = source[edges.source_index], target[edges.target_index]
        both: BoolArray = (ends[0] >= 0) & (ends[1] >= 0)
        lines.append(np.stack([position_N2[ends[0][both]], position_N2[ends[1][both]]], axis=1))
    if lines:
        axes.add_collection(LineCollection(list(np.concatenate(lines)), linewidths=0.5, colors="#bbbbbb", alpha=0.6, zorder=0))


def _place_of(graph: InterestGraph, shown: Neighbours, *, node_type: str) -> IntArray:
    """Place among the shown of every node of a type, -1 for the others."""
    place = np.full(graph.num_nodes(node_type), -1, dtype=np.int64)
    of_type = np.flatnonzero(shown.type_N == NODE_TYPES.index(node_type))
    place[shown.index_N[of_type]] = of_type
    return place


def _names_of(graph: InterestGraph, shown: Neighbours, *, names: Namer) -> list[str]:
    found = np.empty(len(shown), dtype=object)
    for place, node_type in enumerate(NODE_TYPES):
        of_type = np.flatnonzero(shown.type_N == place)
        if len(of_type):
            ids = graph.vocabularies[node_type].take(shown.index_N[of_type])
            found[of_type] = names(node_type, ids).to_pylist()
    return [str(name) for name in found]

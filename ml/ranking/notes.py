"""What re-ranking did to an item, as a kind with its figures and in words, in English and Chinese.

A new rule gets its note here, in both languages. Why an item is in the list at all is `ml.ranking.wording`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TEMPLATES: Mapping[str, Mapping[str, str]] = {
    "freshness": {"en": "new: {boost:+.3f} for being {days:.0f} days old", "zh": "新品：上架{days:.0f}天，加{boost:.3f}分"},
    "diversity": {
        "en": "variety: taken before {overtaken} that score higher but are closer to what stands above",
        "zh": "多样性：排在{overtaken}个得分更高、但与前面更相似的物品之前",
    },
    "cap": {
        "en": "moved up: {attribute} {value} has its {limit} already",
        "zh": "上移：{attribute}“{value}”已有{limit}个",
    },
    "exploration": {
        "en": "a try: drawn with probability {propensity:.4f} from {pool} further candidates",
        "zh": "尝试：以{propensity:.4f}的概率从另外{pool}个候选中抽出",
    },
}


@dataclass(frozen=True)
class Note:
    """A kind in `TEMPLATES` and what its words are filled with."""

    kind: str
    values: Mapping[str, float | str] = field(default_factory=dict)

    def text(self, language: Literal["en", "zh"] = "en") -> str:
        """The note in words."""
        return TEMPLATES[self.kind][language].format(**self.values)

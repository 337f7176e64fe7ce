"""Company names, searched for those that are nearly alike: fast enough for tens of thousands."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable

from rapidfuzz import fuzz, process

from workflows.matching import Spelling


class NameIndex:
    """Names by what can be alike at all: those whose telling words agree, ordered by length.

    Args:
        names: what can be found.
        similarity: from how many per cent two names are alike.
    """

    def __init__(self, names: Iterable[Spelling], similarity: int) -> None:
        self._similarity = similarity
        # `fuzz.ratio` is at most twice the shorter length over the sum of both.
        self._stretch = (200 - similarity) / similarity
        blocks: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for name in names:
            blocks[tuple(name.telling)].add(name.core)
        self._blocks = {telling: sorted(cores, key=len) for telling, cores in blocks.items()}

    def alike(self, name: Spelling) -> list[str]:
        """Find the cores of names that are nearly or quite this one."""
        block = self._blocks.get(tuple(name.telling), [])
        return self._near(name.core, block, bisect_left(block, len(name.core) / self._stretch, key=len))

    def pairs(self) -> list[tuple[str, str]]:
        """Find the cores of all names that are nearly alike, each two once, in alphabetical order."""
        places = ((block, place) for block in self._blocks.values() for place in range(len(block)))
        near = (
            (block[place], other) for block, place in places for other in self._near(block[place], block, place + 1)
        )
        return sorted((min(pair), max(pair)) for pair in near)

    def _near(self, core: str, block: list[str], first: int) -> list[str]:
        """Find those alike from a place of the block on."""
        last = bisect_right(block, len(core) * self._stretch, key=len)
        found = process.extract(core, block[first:last], scorer=fuzz.ratio, score_cutoff=self._similarity, limit=None)
        return [other for other, _, _ in found]

"""The mixing function of splitmix64 (Steele, Lea & Flood, OOPSLA 2014): a stable hash of whole numbers, the same everywhere."""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

# The step between the generator's states, an odd number.
GAMMA = 0x9E3779B97F4A7C15


def mix(numbers: Words) -> Words:
    """Each 64-bit number as another that looks random, shape of `numbers`; no two become one."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(numbers ^ (numbers >> np.uint64(31)), dtype=np.uint64)

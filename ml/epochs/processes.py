"""One training in several processes, as `torch.distributed` starts them; everything here does nothing where it did not.

Every process holds the whole network and draws the same chance, works on its share of each batch, and adds up
gradients with the others before each step: what is learned is what one process would have learned from the whole
batch, up to rounding. Start them with torchrun and `torch.distributed.init_process_group` ("gloo" or "nccl").
"""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

from ml.errors import ConfigError


def is_shared() -> bool:
    """Whether there is more than this process."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_first() -> bool:
    """Whether this process writes what is written once."""
    return not is_shared() or distributed.get_rank() == 0


def own_share() -> slice:
    """Which rows of a batch are this process's: every n-th of n processes."""
    return slice(distributed.get_rank(), None, distributed.get_world_size()) if is_shared() else slice(None)


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if is_shared():
        distributed.barrier()


@torch.no_grad()
def sum_over_all(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over the processes, in one message."""
    kept = list(tensors)
    if not is_shared() or not kept:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in kept])
    distributed.all_reduce(flat)
    for tensor, summed in zip(kept, torch.split(flat, [tensor.numel() for tensor in kept]), strict=True):
        tensor.copy_(summed.view_as(tensor))


@torch.no_grad()
def start_alike(network: nn.Module) -> None:
    """Give every process the first one's parameters and buffers: singular vectors of two machines may differ in their last bits."""
    if is_shared():
        for tensor in [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.layout == torch.strided)]:
            distributed.broadcast(tensor, src=0)


def first_figure(figure: float, *, device: torch.device) -> float:
    """The first process's figure in every process, so that all stop at the same epoch."""
    if not is_shared():
        return figure
    told = torch.tensor(figure, dtype=torch.float64, device=device)
    distributed.broadcast(told, src=0)
    return float(told)


def require_same_epoch(epoch: int, *, device: torch.device) -> None:
    """Raise `ConfigError` where the processes found checkpoints of different epochs."""
    if not is_shared():
        return
    ends = torch.tensor([epoch, -epoch], device=device)
    distributed.all_reduce(ends, op=distributed.ReduceOp.MAX)
    if int(ends[0]) != -int(ends[1]):
        raise ConfigError(
            f"processes found checkpoints of epochs {-int(ends[1])} to {int(ends[0])}; keep them in a folder that every process sees"
        )

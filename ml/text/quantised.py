"""Linear layers in 8-bit integers, for processors without bfloat16 units.

Weights are scaled by output channel and inputs by token, as in LLM.int8() without its outliers (Dettmers et al.,
arXiv 2208.07339): sums of integers are exact, so a token's numbers do not depend on the others of its batch.
"""

import torch

LARGEST = 127.0


class Int8Linear(torch.nn.Module):
    """A linear layer's product in int8, its result in float32; the bias stays as it was."""

    scale_O: torch.Tensor
    weight_IO: torch.Tensor
    bias_O: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight_OI = linear.weight.detach().float()
        self.has_bias = linear.bias is not None
        scale_O = (weight_OI.abs().amax(dim=1) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
        self.register_buffer("scale_O", scale_O)
        self.register_buffer("weight_IO", (weight_OI / scale_O[:, None]).round().to(torch.int8).t().contiguous())
        if linear.bias is not None:
            self.register_buffer("bias_O", linear.bias.detach().float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape [..., I] to [..., O]."""
        rows_RI = inputs.reshape(-1, inputs.shape[-1])
        scale_R1 = (rows_RI.abs().amax(dim=1, keepdim=True) / LARGEST).clamp(min=torch.finfo(torch.float32).tiny)
        products_RO = torch._int_mm((rows_RI / scale_R1).round().to(torch.int8), self.weight_IO)
        outputs_RO = products_RO.float().mul_(scale_R1).mul_(self.scale_O)
        if self.has_bias:
            outputs_RO.add_(self.bias_O)
        return outputs_RO.reshape(*inputs.shape[:-1], -1)


def quantise(network: torch.nn.Module) -> None:
    """Replace every linear layer of a float32 network by its 8-bit form."""
    for name, child in network.named_children():
        if isinstance(child, torch.nn.Linear):
            setattr(network, name, Int8Linear(child))
        else:
            quantise(child)

"""Whether an error says that memory ran out."""

import torch

# Messages of bare RuntimeErrors of torch: its CPU allocator, cuBLAS and cuDNN.
MESSAGES = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python or torch says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in MESSAGES)

"""Whether a solve runs inside a transformation of `torch.func`."""

from __future__ import annotations

from torch._C._functorch import peek_interpreter_stack


def inside_transform() -> bool:
    """Whether tensors are wrapped by `vmap`, `grad`, `jvp` or their like.

    Inside, a number may not exist (`vmap`), so that none is asked for.
    """
    return peek_interpreter_stack() is not None

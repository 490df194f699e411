"""Noise on a known grid of steps, drawn in chunks: the fast path of fixed-step solves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import InputError, TimeGridError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.paths.brownian import BrownianPath, Increments, Need, Times, step_lengths
from trajinfer.paths.counter import mix, normal_pair

_CHUNK_STEPS, _CHUNK_BYTES = 128, 8 * 2**20
_STREAMS = {"W": 0, "H": 1, "Z": 2}


class BrownianGrid(BrownianPath):
    r"""Brownian increments on a fixed grid, a chunk of steps from one draw.

    The K steps of chunk c come from one `torch.randn` under the seed mix(seed, c), scaled by
    $\sqrt{h}$, so that any chunk can be drawn again and no noise is ever stored. W, H and Z have
    seeds of their own: asking for H does not change W.

    Args:
        times: ends of the steps, (N + 1,), or (B, N + 1) where every path has its own.
        shape: (B, M).
        random_state: int, numpy or torch Generator, or None (fresh entropy, kept in `seed`).
        samples: numbers of the paths; the noise of each then depends on the seed and its number
            alone, not on the batch it is in (slower: a hash in the place of a generator).
        dtype: of the numbers.
        device: where they are drawn.

    Example:
        >>> import numpy as np
        >>> path = BrownianGrid(np.linspace(0.0, 1.0, 5), (3, 2), random_state=0)
        >>> path.increments(0.25, 0.5).shape
        torch.Size([3, 2])
    """

    repeatable = True

    def __init__(
        self,
        times: Times,
        shape: tuple[int, int],
        *,
        random_state: RandomState = None,
        samples: Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.times = np.asarray(times, dtype=np.float64)
        if self.times.ndim not in (1, 2) or self.times.shape[-1] < 2:
            raise InputError(f"times must be (N + 1,) or (B, N + 1), got {self.times.shape}")
        self.shape = (int(shape[0]), int(shape[1]))
        self.seed = seed_from(random_state)
        self.dtype, self.device = dtype, torch.device(device)
        row = max(1, self.shape[0] * self.shape[1]) * torch.finfo(dtype).bits // 8
        fitting = max(1, _CHUNK_BYTES // row) if samples is None else _CHUNK_STEPS
        self.chunk_steps = int(min(_CHUNK_STEPS, fitting))
        self.samples = None if samples is None else [int(number) for number in samples]
        self._cache: dict[str, tuple[int, Tensor]] = {}

    def increments(
        self, t0: float, t1: float, need_H: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """W (B, M) of the step [t0, t1] of the grid, or (W, H)."""
        first = self._locate(t0, t1)
        times = self.times[..., first : first + 2]
        noise = self.steps(first, times, "WH" if need_H else "W", 0)
        parts = [part[0] for part in (noise.W, noise.H) if part is not None]
        return (parts[0], parts[1]) if need_H else parts[0]

    def steps(self, first: int, times: Times, need: Need, dim: int) -> Increments:
        """The noise of consecutive steps of the grid."""
        last = first + times.shape[-1] - 1
        if not np.array_equal(times, self.times[..., first : last + 1]):
            raise TimeGridError(
                "the steps of this solve are not those of the BrownianGrid; "
                "use BrownianTree for noise on another grid"
            )
        n_channels = self.shape[1]
        w = self._part("W", first, last, n_channels) if "W" in need else None
        h = self._part("H", first, last, n_channels) if "H" in need else None
        z = self._part("Z", first, last, dim) if "Z" in need else None
        return Increments(w, h, z)

    def spawn(self, seed: int) -> BrownianGrid:
        """The same grid with other noise."""
        return BrownianGrid(
            self.times,
            self.shape,
            random_state=mix(self.seed, seed),
            samples=self.samples,
            dtype=self.dtype,
            device=self.device,
        )

    def _part(self, stream: str, first: int, last: int, width: int) -> Tensor:
        """Noise of steps first..last-1, (last - first, B, width)."""
        size = self.chunk_steps
        chunks = range(first // size, (last - 1) // size + 1)
        drawn = [self._chunk(stream, c, width) for c in chunks]
        whole = drawn[0] if len(drawn) == 1 else torch.cat(drawn)
        start = first - chunks[0] * size
        return whole[start : start + last - first]

    def _chunk(self, stream: str, c: int, width: int) -> Tensor:
        cached = self._cache.get(stream)
        if cached is not None and cached[0] == c and cached[1].shape[2] == width:
            return cached[1]
        times = self.times[..., c * self.chunk_steps : (c + 1) * self.chunk_steps + 1]
        chunk = self._draw(mix(self.seed, c, _STREAMS[stream]), times.shape[-1] - 1, width)
        if stream != "Z":
            # in place: a second large block of memory costs more than the multiplication
            chunk.mul_((step_lengths(times, chunk) * (1.0 if stream == "W" else 1 / 12)).sqrt_())
        self._cache[stream] = (c, chunk)
        return chunk

    def _draw(self, seed: int, n_steps: int, width: int) -> Tensor:
        """Standard normal numbers (n_steps, B, width)."""
        if self.samples is None:
            generator = torch_generator(seed, self.device)
            size = (n_steps, self.shape[0], width)
            return torch.randn(size, generator=generator, dtype=self.dtype, device=self.device)
        number = torch.tensor(self.samples, device=self.device)[None, :, None]
        place = torch.arange(n_steps * width, device=self.device).reshape(n_steps, 1, width)
        return normal_pair(seed, number, place)[0].to(self.dtype)

    def _locate(self, t0: float, t1: float) -> int:
        if self.times.ndim == 2:
            raise TimeGridError("every path of this grid has its own times; ask by step index")
        first = int(np.searchsorted(self.times, t0))
        if first + 1 >= len(self.times) or self.times[first] != t0 or self.times[first + 1] != t1:
            raise TimeGridError(
                f"[{t0:g}, {t1:g}] is not a step of this BrownianGrid; "
                "use BrownianTree for arbitrary intervals"
            )
        return first

"""Training of the network that corrects a smoother."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer.filling.share_of_network import Comparison
from trajinfer.series.corrected_smoother import corrected, until_start
from trajinfer.series.encoder import Encoding
from trajinfer.series.hidden_values import HiddenValues
from trajinfer.series.likelihood import mean_nll
from trajinfer.series.objective import TrainingPass, weighed
from trajinfer.training import Loss

_MOST_QUERIES = 64


@dataclass(frozen=True)
class Correction:
    """Likelihood of hidden values under the corrected law.

    Attributes:
        passes: through the network in training.
        learned: the examples to learn from, a part per group of similar lengths; rows are counted
            through all parts.
        judges: other examples, for validation.
    """

    passes: TrainingPass
    learned: Sequence[HiddenValues]
    judges: Sequence[HiddenValues]

    @property
    def n_rows(self) -> int:
        """Number of examples."""
        return sum(map(len, self.learned))

    def objective(self, index: Tensor, step: int) -> Loss:
        """Negative log-likelihood of hidden values of some examples."""
        parts = []
        for part, start in zip(self.learned, np.cumsum([0, *map(len, self.learned)])):
            rows = index[(index >= start) & (index < start + len(part))] - int(start)
            if len(rows):
                parts.append((len(rows) / len(index), self._loss(part, rows, step)))
        return weighed(parts)

    def validate(self) -> float:
        """Negative log-likelihood of judges under the whole correction."""
        judged = self._judged()
        return float(mean_nll(corrected(judged.law, judged.moves, torch.ones(2, 1)), judged.values))

    def score(self) -> float:
        """Largest gain of a channel by the network, in units of its standard error."""
        return self._judged().score()

    def _judged(self) -> Comparison:
        compared = []
        for part in self.judges:
            encoding = self.passes.validation(until_start(part.context), part.context.times)
            law = self._law(part, encoding)
            compared.append(part.compared(torch.stack([law.mean, law.stddev.log()]).cpu()))
        return Comparison.joined(compared)

    def _loss(self, examples: HiddenValues, rows: Tensor, step: int) -> Loss:
        part, times = examples.rows(rows, _MOST_QUERIES)
        context = until_start(part.context.thinned(self.passes.thinning))
        encoding = self.passes.encode(context, times)
        law = self._law(part, encoding)
        loss = mean_nll(law, ((part.values - part.mean) / part.std).to(law.mean))
        return self.passes.loss(loss, encoding, step)

    def _law(self, part: HiddenValues, encoding: Encoding) -> Normal:
        """Law of the hidden values in units of the smoother's."""
        law: Normal = self.passes.network.head(encoding.asked, part.std.to(encoding.asked))
        return law

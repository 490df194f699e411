"""The repressilator with mRNA and protein."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility

_FLOOR = 1e-8


class RepressilatorWithProteins(Process):
    r"""Three mRNAs and their proteins; protein i-1 represses gene i (in a ring of three).

    $dm_i = \left(a + \frac{\beta_m}{1 + (p_{i-1}/k)^h} - \gamma_m m_i\right) dt$,
    $dp_i = (\beta_p m_i - \gamma_p p_i)\,dt$ plus noise; the state is $(m_1, m_2, m_3, p_1, p_2,
    p_3)$. Proteins below zero, which additive noise can produce, repress nobody.

    Where only the mRNA is measured, proteins have no units of their own: k = 1 and translation
    beta_p = 2 describe the same mRNA as k = .5 and beta_p = 1. Give one of the two.

    Args:
        leak: a, production under full repression.
        production: beta_m.
        hill: h.
        k: concentration of half repression.
        decay: gamma_m.
        translation: beta_p.
        protein_decay: gamma_p.
        volatility: see `Process`.
    """

    def __init__(
        self,
        leak: Any = None,
        production: Any = None,
        hill: Any = None,
        k: Any = None,
        decay: Any = None,
        translation: Any = None,
        protein_decay: Any = None,
        *,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "leak": Parameter(leak, 0.1, positive=True, state_power=1, time_power=-1),
            "production": Parameter(production, 3.0, positive=True, state_power=1, time_power=-1),
            "hill": Parameter(hill, 2.0, positive=True),
            "k": Parameter(k, 0.5, positive=True, state_power=1),
            "decay": Parameter(decay, 1.0, positive=True, time_power=-1),
            "translation": Parameter(translation, 1.0, positive=True, time_power=-1),
            "protein_decay": Parameter(protein_decay, 1.0, positive=True, time_power=-1),
        }
        super().__init__(6, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Repressed transcription, translation, degradation."""
        mrna, protein = y[:, :3], y[:, 3:]
        transcription = p["leak"] + p["production"] * self._activity(protein, p)
        return torch.cat(
            (
                transcription - p["decay"] * mrna,
                p["translation"] * mrna - p["protein_decay"] * protein,
            ),
            dim=-1,
        )

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the drift, written out."""
        protein = y[:, 3:]
        activity = self._activity(protein, p)
        repressor = protein.roll(1, dims=-1)
        slope = p["hill"] * activity * (1 - activity) / repressor.clamp_min(_FLOOR)
        slope = -p["production"] * torch.where(repressor > _FLOOR, slope, 0.0)
        one = torch.eye(3, dtype=y.dtype, device=y.device)
        of_mrna = torch.cat(
            (
                (-p["decay"] * one).expand(len(y), -1, -1),
                slope.unsqueeze(-1) * one.roll(-1, dims=-1),
            ),
            dim=2,
        )
        of_protein = torch.cat((p["translation"] * one, -p["protein_decay"] * one), dim=1)
        return torch.cat((of_mrna, of_protein.expand(len(y), -1, -1)), dim=1)

    @staticmethod
    def _activity(protein: Tensor, p: Values) -> Tensor:
        ratio = protein.roll(1, dims=-1).clamp_min(_FLOOR) / p["k"]
        return torch.sigmoid(-p["hill"] * ratio.log())

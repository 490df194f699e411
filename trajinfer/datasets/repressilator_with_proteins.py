"""The repressilator with mRNA and protein: the generator of data with hidden coordinates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes import Process


class RepressilatorWithProteins(Process):
    r"""Three mRNAs and their proteins; protein i-1 represses gene i (in a ring of three).

    $dm_i = \left(a + \frac{\beta_m}{1 + (p_{i-1}/k)^h} - \gamma_m m_i\right) dt$,
    $dp_i = (\beta_p m_i - \gamma_p p_i)\,dt$ plus noise; the state is $(m_1, m_2, m_3, p_1, p_2,
    p_3)$.

    Args:
        volatility: see `Process`.
        leak: a, production under full repression.
        production: beta_m.
        hill: h.
        k: concentration of half repression.
        decay: gamma_m.
        translation: beta_p.
        protein_decay: gamma_p.
    """

    def __init__(
        self,
        *,
        volatility: Any = None,
        leak: float = 1e-5,
        production: float = 10.0,
        hill: float = 3.0,
        k: float = 1.0,
        decay: float = 1.0,
        translation: float = 1.0,
        protein_decay: float = 1.0,
    ) -> None:
        settings = {
            "leak": leak,
            "production": production,
            "hill": hill,
            "k": k,
            "decay": decay,
            "translation": translation,
            "protein_decay": protein_decay,
        }
        declared = {name: Parameter(value, 1.0, positive=True) for name, value in settings.items()}
        super().__init__(6, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Any) -> Tensor:
        """Repressed transcription, translation, degradation."""
        mrna, protein = y[:, :3], y[:, 3:]
        repression = (protein.roll(1, dims=-1).clamp_min(0.0) / p["k"]) ** p["hill"]
        transcription = p["leak"] + p["production"] / (1 + repression)
        return torch.cat(
            (
                transcription - p["decay"] * mrna,
                p["translation"] * mrna - p["protein_decay"] * protein,
            ),
            dim=-1,
        )

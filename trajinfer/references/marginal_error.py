"""What is said of couplings that do not meet their marginals."""

from __future__ import annotations


def missed_marginals(error: float, tolerance: float) -> str | None:
    """How far couplings miss their marginals, in words; None where they meet them.

    Args:
        error: largest L1 distance of a coupling from its marginals.
        tolerance: what counts as meeting them.
    """
    if error <= tolerance:
        return None
    return (
        f"the couplings miss their marginals by {error:.1e} (L1); a larger volatility "
        "makes them easier"
    )

"""Neural models of series: their dynamics, and the estimators built on them."""

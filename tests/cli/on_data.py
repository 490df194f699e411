"""Commands that read a table, and how they are told to be quick and right."""

ON_DATA = {
    "fit": ("--features", "x", "--set", "n_refinements=0", "--n", "5"),
    "evaluate": ("--features", "x", "--set", "n_refinements=0"),
    "forecast": ("--channels", "x", "--horizon", "1", "--model", "last", "--n", "5"),
    "classify": ("--channels", "x", "--label", "state", "--model", "mean"),
    "generate": ("--channels", "x", "--n", "5"),
    "impute": ("--channels", "x"),
    "anomaly": ("--channels", "x"),
    "jumps": ("--state", "state", "--method", "mle"),
    "hurst": ("--channels", "x", "--method", "variogram"),
}

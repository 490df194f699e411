"""Rates of a predator and its prey from five snapshots in which nobody is seen twice."""

from trajinfer import SchrodingerBridge, datasets, evaluation
from trajinfer.processes import LotkaVolterra

data = datasets.load_lotka_volterra()
print(data)

bridge = SchrodingerBridge(LotkaVolterra(), random_state=0).fit(data.train)
print(f"converged: {bridge.converged_}, volatility {bridge.volatility_.round(3)}")
for name, value in bridge.parameters_.items():
    print(f"  {name} = {value:.3f} (simulated with {data.info.parameters[name]})")

table = evaluation.held_out_table(bridge, data.train, data.held_out, scoring="w2")
print(table[["time", "estimator", "exact_ot_line", "persistence"]].round(3).to_string(index=False))

paths = bridge.sample(200, ts=[0, 1, 2, 3, 4, 5, 6, 7, 8])
low, high = paths.interval(0.9)
print("90 % of the prey at time 5 lie between", low[5, 0].round(2), "and", high[5, 0].round(2))

ahead = bridge.forecast([9, 10], n=500)
print("mean at time 10:", ahead.mean()[1].round(2))

model = bridge.save("lotka_volterra_model")
print("saved to", model.name)

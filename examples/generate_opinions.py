"""New opinions after a crowd of 2048, the report on them, and on a plain generator beside them.

python examples/generate_opinions.py [figure.png]
"""

import sys

from trajinfer import DirectedChainGenerator
from trajinfer.datasets import make_opinion_dynamics
from trajinfer.evaluation import gaussian_process, generation_report

data = make_opinion_dynamics(2048, random_state=0)
generator = DirectedChainGenerator(transform="standard", random_state=0).fit(data.train)
synthetic = generator.sample(512)
report = generation_report(data.train, data.hold_out, synthetic, n_seeds=2)
print(report)

plain = gaussian_process(data.train.values, 512, random_state=0)
beside = generation_report(data.train, data.hold_out, plain, n_seeds=2)
print("Gaussian process:", ", ".join(sorted(beside.flags)))

if len(sys.argv) > 1:
    report.plot().figure.savefig(sys.argv[1], bbox_inches="tight")

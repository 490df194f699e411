"""Windows of daily prices, judged by blocks of time that were held out, beside a block bootstrap.

Needs the file `stock_data.csv` in the folder `series` of TRAJINFER_DATA.
"""

import sys

import numpy as np

from trajinfer import DirectedChainGenerator, datasets
from trajinfer.evaluation import block_bootstrap, generation_report

try:
    data = datasets.load_stocks(offset=3)
except datasets.DatasetError as error:
    sys.exit(f"this example needs data that may not be shipped: {error}")

real = [datasets.relative_prices(part.values) for part in (data.train, data.hold_out)]
groups = data.train_groups, data.hold_out_groups

generator = DirectedChainGenerator(transform="relative", random_state=0).fit(data.train)
windows = generator.sample(len(data.hold_out)).values
opened, high, low, close = np.moveaxis(windows[:, :, :4], 2, 0)
broken = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close))
print("rows in which the high or the low is none:", int(broken.sum()))

made = {
    "generator": datasets.relative_prices(windows),
    "block bootstrap": block_bootstrap(real[0], len(windows), random_state=0),
}
for name, synthetic in made.items():
    report = generation_report(*real, synthetic, groups=groups, n_seeds=2)
    print(f"\n{name}\n{report}")

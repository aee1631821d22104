"""Load datasets: built-in sets, tables, data frames, and synthetic data.

Of your own:

- `from_pandas`: a data frame;
- `read_table`: a file, such as CSV, Parquet or Excel;
- `ParquetBlocks`: a Parquet file that does not fit into memory;
- `Dataset`: arrays.

Built in:

- `tutorial`: the article's ten points;
- `diabetes`: 442 patients, scikit-learn's;
- `nist`, `nist_nonlinear`: sets with certified answers;
- `synthetic`: least squares with a condition number, rank and noise of your choice;
- `load`, `names`: these by name.

Each returns a `Dataset`, of which ``optlab.LinearRegression.from_dataset`` makes a problem.
"""

from optlab.datasets.catalogue import load as load
from optlab.datasets.catalogue import names as names
from optlab.datasets.catalogue import registry as registry
from optlab.datasets.dataset import Dataset as Dataset
from optlab.datasets.diabetes import diabetes as diabetes
from optlab.datasets.from_pandas import from_pandas as from_pandas
from optlab.datasets.nist import nist as nist
from optlab.datasets.nist_curves import nist_nonlinear as nist_nonlinear
from optlab.datasets.parquet_blocks import ParquetBlocks as ParquetBlocks
from optlab.datasets.read_table import read_table as read_table
from optlab.datasets.synthetic import synthetic as synthetic
from optlab.datasets.tutorial import tutorial as tutorial

"""Studies: frozen configurations, what runs them, and their reports. No physics of their own.

```python
from xbar.run import DefectSettings, Study, run_study

run_study(Study(defects=(DefectSettings(shape=("circle", "ring"), layer=(0, 3)),)), "runs/mine")
```
"""

from xbar.run.cells import CellSettings as CellSettings
from xbar.run.config import CircuitSettings as CircuitSettings
from xbar.run.config import CorrectorSettings as CorrectorSettings
from xbar.run.config import DataSettings as DataSettings
from xbar.run.config import DefectSettings as DefectSettings
from xbar.run.config import NetworkSettings as NetworkSettings
from xbar.run.config import RunSettings as RunSettings
from xbar.run.config import StoreSettings as StoreSettings
from xbar.run.config import Study as Study
from xbar.run.engine import run_study as run_study
from xbar.run.errors import StudyError as StudyError
from xbar.run.errors import UsageError as UsageError
from xbar.run.results import labelled as labelled
from xbar.run.settings import read_study as read_study
from xbar.run.settings import write_study as write_study

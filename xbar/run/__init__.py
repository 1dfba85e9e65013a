"""Studies: frozen configurations, what runs them, and their reports. No physics of their own.

```python
from xbar.run import DefectSettings, Study, run_study

run_study(Study(defects=(DefectSettings(shape=("circle", "ring"), layer=(0, 3)),)), "runs/mine")
```
"""

from xbar.run.engine import run_study as run_study
from xbar.run.errors import StudyError as StudyError
from xbar.run.errors import UsageError as UsageError
from xbar.run.settings.cells import CellSettings as CellSettings
from xbar.run.settings.files import read_study as read_study
from xbar.run.settings.files import write_study as write_study
from xbar.run.settings.study import CircuitSettings as CircuitSettings
from xbar.run.settings.study import CorrectorSettings as CorrectorSettings
from xbar.run.settings.study import DataSettings as DataSettings
from xbar.run.settings.study import DefectSettings as DefectSettings
from xbar.run.settings.study import NetworkSettings as NetworkSettings
from xbar.run.settings.study import RunSettings as RunSettings
from xbar.run.settings.study import StoreSettings as StoreSettings
from xbar.run.settings.study import Study as Study
from xbar.run.study.tables import labelled as labelled

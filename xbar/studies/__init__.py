"""Studies: frozen configurations, what runs them, and their reports. No physics of their own.

```python
from xbar.studies import DefectSettings, Study, run_study

run_study(Study(defects=(DefectSettings(shape=("circle", "ring"), layer=(0, 3)),)), "runs/mine")
```
"""

from xbar.studies.config import CircuitSettings as CircuitSettings
from xbar.studies.config import CorrectorSettings as CorrectorSettings
from xbar.studies.config import DataSettings as DataSettings
from xbar.studies.config import DefectSettings as DefectSettings
from xbar.studies.config import NetworkSettings as NetworkSettings
from xbar.studies.config import RunSettings as RunSettings
from xbar.studies.config import StoreSettings as StoreSettings
from xbar.studies.config import Study as Study
from xbar.studies.engine import run_study as run_study
from xbar.studies.errors import StudyError as StudyError
from xbar.studies.errors import UsageError as UsageError
from xbar.studies.results import labelled as labelled
from xbar.studies.toml import read_study as read_study
from xbar.studies.toml import write_study as write_study

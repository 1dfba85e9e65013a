"""Studies: frozen configurations, what runs them, and their reports. No physics of their own.

```python
from xbar.studies.demo import DemoConfig
from xbar.studies.run_demo import run

run(DemoConfig(layer=1, shape="ring"), "runs/ring")
run(DemoConfig(), "runs/mine", dataset=Dataset.from_arrays(x, y), network=MLP(weights, biases))
```
"""

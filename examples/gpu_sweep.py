"""A sweep on GPUs under Slurm.

The study is a file; every process that `srun` starts takes its share of the chunks, and the same
job sent again goes on where the last one stopped. `lanes` is how many circuits a GPU solves side
by side. This script writes the study and the job; `sbatch sweep.sbatch` runs it.
"""

import sys
from pathlib import Path

from xbar.run import DefectSettings, RunSettings, Study, read_study, write_study

JOB = """#!/bin/bash
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --time=08:00:00
#SBATCH --signal=INT@60            # stops a minute before the end; send it again to go on
srun xbar study sweep.toml --out "$SCRATCH/sweep"
"""

study = Study(
    name="sweep",
    seeds=20,
    defects=(DefectSettings(shape=("circle", "ring"), coverage=(0.1, 0.3), layer=(0, 1, 2, 3)),),
    run=RunSettings(chunk=256, lanes=64, precision="float64"),
)
folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
(folder / "sweep.toml").write_text(write_study(study))
(folder / "sweep.sbatch").write_text(JOB)
assert read_study(folder / "sweep.toml").circuits == study.circuits
print(
    f"{folder / 'sweep.toml'}: first `xbar study sweep.toml --out runs/sweep --dry-run`, which says"
)
print(f"circuits, memory, disk and time; then `sbatch {folder / 'sweep.sbatch'}`")

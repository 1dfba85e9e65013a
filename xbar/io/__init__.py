"""Data that goes into a study and comes out of it: data sets, networks, runs."""

from xbar.io.dataset import Dataset as Dataset
from xbar.io.datasets import DATASETS as DATASETS
from xbar.io.datasets import load_dataset as load_dataset
from xbar.io.datasets import load_digits as load_digits
from xbar.io.files import StoreError as StoreError
from xbar.io.maps import load_map as load_map
from xbar.io.parts import Split as Split
from xbar.io.parts import split as split
from xbar.io.parts import split_many as split_many
from xbar.io.runs import Run as Run
from xbar.io.runs import load_run as load_run
from xbar.io.store import verify_results as verify_results
from xbar.io.user import read_dataset as read_dataset
from xbar.io.user import read_network as read_network

"""What is trained and knows no circuit: the software networks and the correctors."""

from xbar.learn.corrector import Corrector as Corrector
from xbar.learn.corrector import train_correctors as train_correctors
from xbar.learn.mlp import MLP as MLP
from xbar.learn.mlp import accuracy as accuracy
from xbar.learn.mlp import cross_entropy as cross_entropy
from xbar.learn.mlp import fit as fit
from xbar.learn.training import train as train

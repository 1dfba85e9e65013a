"""What is trained and knows no circuit: the software networks and the correctors."""

from xbar.learn.corrector import Corrector as Corrector
from xbar.learn.corrector import train_correctors as train_correctors

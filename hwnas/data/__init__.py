"""Data sets and their parts: to train on, to search on, to test on.

    load.py      the data sets that have a name, and where their files lie
    splits.py    dividing a data set by seed; `Splits` and their hashes
    part.py      one part: whole batches by index
    joined.py    several parts as one
    stream.py    batches one after the other
    augment.py   random changes of small images
    task.py      what is asked of a network: loss and score
    idx.py       the file format of MNIST

Bring your own data as any torch data set of `(input, ..., label)`: `split(dataset, seed=0)`, and your own task as two
functions: `split(dataset, seed=0, task=Task(name=..., loss=..., score=...))`.
"""

from hwnas.data.augment import Cutout, ShiftFlip
from hwnas.data.joined import JoinedPart
from hwnas.data.load import DataName, digits, fashion_mnist, image_folder, load_data
from hwnas.data.part import Augmentation, Batch, DatasetPart, Indices, Normalisation, Part, TensorPart
from hwnas.data.splits import Splits, split
from hwnas.data.stream import Request, nth_batch, stream
from hwnas.data.task import CLASSIFICATION, REGRESSION, Task, landmarks

__all__ = [
    "CLASSIFICATION",
    "REGRESSION",
    "Augmentation",
    "Batch",
    "Cutout",
    "DataName",
    "DatasetPart",
    "Indices",
    "JoinedPart",
    "Normalisation",
    "Part",
    "Request",
    "ShiftFlip",
    "Splits",
    "Task",
    "TensorPart",
    "digits",
    "fashion_mnist",
    "image_folder",
    "landmarks",
    "load_data",
    "nth_batch",
    "split",
    "stream",
]

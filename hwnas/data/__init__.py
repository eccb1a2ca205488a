"""Data sets and their parts: to train on, to search on, to test on.

    load.py      the data sets that have a name, and where their files lie
    splits.py    dividing a data set by seed; `Splits` and their hashes
    part.py      one part: whole batches by index
    stream.py    batches one after the other
    augment.py   random changes of small images
    idx.py       the file format of MNIST

Bring your own data as any torch data set of `(input, ..., label)`: `split(dataset, seed=0)`.
"""

from hwnas.data.augment import ShiftFlip
from hwnas.data.load import DataName, digits, fashion_mnist, image_folder, load_data
from hwnas.data.part import Augmentation, Batch, DatasetPart, Indices, Normalisation, Part, TensorPart
from hwnas.data.splits import Splits, split
from hwnas.data.stream import Request, stream

__all__ = [
    "Augmentation",
    "Batch",
    "DataName",
    "DatasetPart",
    "Indices",
    "Normalisation",
    "Part",
    "Request",
    "ShiftFlip",
    "Splits",
    "TensorPart",
    "digits",
    "fashion_mnist",
    "image_folder",
    "load_data",
    "split",
    "stream",
]

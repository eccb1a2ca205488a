"""Data sets and their parts: to train on, to search on, to test on.

    load.py           the data sets that have a name, and where their files lie
    cifar10.py        CIFAR-10 as published
    image_folder.py   images in ImageNet's layout
    landmark_list.py  faces with landmarks in the layout of the PFLD programs
    splits.py         dividing a data set by seed; `Splits` and their hashes
    part.py           one part: whole batches by index
    joined.py         several parts as one
    stream.py         batches one after the other
    augment.py        random changes of small images
    task.py           what is asked of a network: loss and score
    idx.py            the file format of MNIST
    image_files.py    reading image files, and their hash

Bring your own data as any torch data set of `(input, ..., label)`: `split(dataset, seed=0)`, and your own task as two
functions: `split(dataset, seed=0, task=Task(name=..., loss=..., score=...))`.
"""

from hwnas.data.augment import Cutout, ShiftFlip
from hwnas.data.cifar10 import cifar10
from hwnas.data.image_folder import Preprocessing, image_folder
from hwnas.data.joined import JoinedPart
from hwnas.data.landmark_list import landmark_list
from hwnas.data.load import DataName, digits, fashion_mnist, load_data
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
    "Preprocessing",
    "Request",
    "ShiftFlip",
    "Splits",
    "Task",
    "TensorPart",
    "cifar10",
    "digits",
    "fashion_mnist",
    "image_folder",
    "landmark_list",
    "landmarks",
    "load_data",
    "nth_batch",
    "split",
    "stream",
]

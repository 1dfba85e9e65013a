"""Several devices in one process, and several processes: the same tables as one of each."""

import socket

import jax
import numpy as np
import pytest
from study_cases import TINY, finish, numbers, write_tiny, xbar

# Of the largest stored voltage. XLA may order sums otherwise where the devices are others; the
# transfer matrices are solved to 1e-10 of the largest current.
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The file of the tiny study, and what one process with one device finds."""
    folder = tmp_path_factory.mktemp("alone")
    file = write_tiny(folder, TINY.replace("chunk = 4", "chunk = 6"))  # the last is not full
    code, _, error = finish(xbar("study", file, "--out", folder / "out", JAX_NUM_CPU_DEVICES="1"))
    assert code == 0, error
    return file, numbers(folder / "out")


def assert_equal_tables(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        a, b = np.asarray(found[name]), np.asarray(values)
        if name == "summary" or a.dtype.kind != "f" or name.startswith("accuracy/"):
            np.testing.assert_array_equal(a, b, err_msg=name)
        elif name.startswith("voltages/"):
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * np.abs(b).max())
        elif not name.startswith("chunks/"):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_devices_of_one_process_share_each_chunk(alone, tmp_path):
    file, expected = alone
    process = xbar("study", file, "--out", tmp_path / "out", JAX_NUM_CPU_DEVICES="3")
    code, _, error = finish(process)
    assert code == 0, error
    found = numbers(tmp_path / "out")
    drop = ("chunks/sha256",)  # of bits, which need not agree
    assert_equal_tables(
        {n: v for n, v in found.items() if n not in drop},
        {n: v for n, v in expected.items() if n not in drop},
    )


def together(file, out, count=2, **variables):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = ("study", file, "--out", out, "--coordinator", address, "--processes", count)
    return [xbar(*command, "--process-id", k, **variables) for k in range(count)]


@pytest.mark.slow
def test_two_processes_share_the_chunks(alone, tmp_path):
    file, expected = alone
    both = together(file, tmp_path / "out")
    ended = [finish(process) for process in both]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert "report.html" in ended[0][1]
    told = [line for line in ended[1][1].splitlines() if not line.startswith("[Gloo]")]
    assert told == []  # the first one tells
    assert_equal_tables(numbers(tmp_path / "out"), expected)


@pytest.mark.slow
def test_what_two_processes_began_one_finishes(alone, tmp_path):
    """One of them is killed: the other cannot go on without it, and a plain restart resumes."""
    file, expected = alone
    out = tmp_path / "out"
    both = together(file, out)
    try:
        while not list((out / "shards").glob("healthy-*.h5")):
            assert both[1].poll() is None, finish(both[1])
            assert both[0].poll() is None, finish(both[0])
    finally:
        both[1].kill()
    finish(both[1])
    both[0].kill()  # JAX would end it within its heartbeat's limit
    finish(both[0])
    code, _, error = finish(xbar("study", file, "--out", out, JAX_NUM_CPU_DEVICES="1"))
    assert code == 0, error
    assert_equal_tables(numbers(out), expected)


@pytest.mark.slow
def test_a_folder_that_the_first_cannot_use_stops_all(alone, tmp_path):
    file, _ = alone
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    ended = [finish(process) for process in together(file, tmp_path / "out")]
    assert [code for code, _, _ in ended] == [2, 2], ended
    assert "holds files that no xbar run made" in ended[0][2]
    assert "process 0 could not use the folder" in ended[1][2]
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_this_process_sees_its_devices():
    from xbar.batch import local_mesh

    assert local_mesh().size == jax.local_device_count()

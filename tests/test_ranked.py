"""The ranked list of faults and the yield against a requirement, by their laws."""

import jax
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, network

from xbar import sensitivity as sens


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def base(net):
    return sens.baseline(net, inputs(), labels())


def test_the_list_is_sorted_and_has_what_the_maps_have(base):
    found = sens.ranked(base, n=7)
    losses = [fault.loss for fault in found]
    assert losses == sorted(losses, reverse=True)
    maps = {
        (layer, kind): sens.cell_faults(base, layer, kind)
        for layer in (0, 1)
        for kind in ("on", "off")
    }
    everything = np.concatenate([np.ravel(faults.loss) for faults in maps.values()])
    np.testing.assert_array_equal(losses, np.sort(everything)[::-1][:7])
    for fault in found:
        faults, place = maps[fault.layer, fault.stuck], (fault.word_line, fault.bit_line)
        assert fault.loss == faults.loss[place]
        assert fault.accuracy == faults.accuracy[place]


def test_a_list_longer_than_the_cells_has_every_cell_once(base):
    found = sens.ranked(base, n=10_000, kinds=["off"])
    places = {fault[:3] for fault in found}
    assert len(places) == len(found) == sum(r.g.size for r in base.responses)


def test_without_faults_every_chip_is_the_network(net, base):
    healthy = float(base.scores().accuracy)
    none = sens.Rates(0.0, 0.0)
    found = sens.chip_yield(net, inputs(), labels(), healthy, none, jax.random.key(0), chips=4)
    assert found.share == found.high == 1
    assert 0 < found.low < 1
    assert np.all(found.accuracy == healthy)


def test_a_requirement_that_nobody_meets_has_rate_0_and_one_that_all_meet_rate_1(net, base):
    own = {"x": inputs(), "labels": labels(), "key": jax.random.key(1), "chips": 4}
    healthy = float(base.scores().accuracy)
    assert healthy < 1
    assert sens.largest_fault_rate(net, at_least=1.0, **own) == 0
    assert sens.largest_fault_rate(net, at_least=0.0, **own) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"at_least": 1.5}, "at_least: got 1.5"), ({"share": -0.1}, "share: got -0.1")],
)
def test_numbers_out_of_range_are_named(net, changed, said):
    given = {"x": inputs(), "labels": labels(), "at_least": 0.5, "key": jax.random.key(0)}
    with pytest.raises(ValueError, match=said):
        sens.largest_fault_rate(net, **{**given, **changed})

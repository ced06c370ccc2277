"""The faults of `make kubernetes` are in manifests that the chart has."""

import copy

import pytest

from tests.deploy.chart.rendering import Manifest, manifests, pods
from tests.kubernetes.faults import FAULTS, Fault, named, planted


@pytest.mark.programs  # helm renders the chart
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_in_a_manifest_that_the_chart_has(fault: Fault) -> None:
    """The fault changes a copy of it, so that the next one begins with what the chart says."""
    found = manifests("whole")
    sound: Manifest = (pods(found) if fault.kind == "Pod" else named(found, fault.kind))[fault.name]
    before = copy.deepcopy(sound)
    assert planted(fault, found) != sound
    assert sound == before

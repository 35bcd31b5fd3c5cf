import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.studies.sweep.made import asked, fakes
from trfjax.studies.sweep.sweep import read_sweep, sweep

__all__ = ["fakes"]
ROOT = Path(__file__).parents[3]


def test_an_engine_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="unknown 'spark'; available: serial, ray"):
        sweep(asked(), tmp_path, engine="spark")


def test_ray_is_an_extra(fakes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'trfjax\[ray\]'"):
        sweep(asked(), tmp_path, engine="ray")


@pytest.mark.slow
def test_two_nodes_give_the_numbers_of_one_process(tmp_path):
    pytest.importorskip("ray")
    few = asked(
        pixels=200, repeats=1, seeds=[0], methods=[{"mode": "full", "steps": 2}]
    )
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(few))
    code = f"""
        import os
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray
        from ray.cluster_utils import Cluster
        from trfjax import sweep
        cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 1}})
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        assert len(nodes) == 2, nodes
        sweep({str(path)!r}, {str(tmp_path / "two")!r}, engine="ray")
        sweep({str(path)!r}, {str(tmp_path / "one")!r})
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=900)
    two, one = (read_sweep(tmp_path / name) for name in ("two", "one"))
    assert not two.failed and set(two.records) == set(one.records)
    for name, column in one.table().items():
        assert two.table()[name] == column

import warnings

import pytest


def connect(cluster):
    import ray

    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False, configure_logging=False)


@pytest.fixture(scope="session")
def cluster():
    """One small cluster of real processes for all tests."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        connect(made)
        yield made
        ray.shutdown()
        made.shutdown()

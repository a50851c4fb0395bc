"""Redis on several servers: a Sentinel service (`redis+sentinel://`) or a Cluster (`redis+cluster://`)."""

from __future__ import annotations

from ...part import Part
from ...storage import redis_url
from . import cluster, sentinel

redis_url.register("sentinel", sentinel.KIND)
redis_url.register("cluster", cluster.KIND)


class HighAvailability(Part):
    """Sessions on a Redis of several servers."""

"""Models as a service (MaaS): Open Inference Protocol v2 over whatever packages there are, for tenants that see nothing of one another."""

from ronghe.cloud.serving.server import Serving
from ronghe.cloud.serving.tenants import Quota, Tenants

__all__ = ["Quota", "Serving", "Tenants"]

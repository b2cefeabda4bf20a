"""OPC UA: a client that acquires in columns, over asyncua's connection."""

from ronghe.connect.opcua.driver import OpcUa
from ronghe.connect.opcua.options import Options

__all__ = ["OpcUa", "Options"]

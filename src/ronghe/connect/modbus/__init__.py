"""Modbus TCP, RTU and RTU over TCP as a driver: addresses, plans of block reads, types in columns, an even polling grid."""

from ronghe.connect.modbus.driver import Modbus
from ronghe.connect.modbus.options import Options

__all__ = ["Modbus", "Options"]

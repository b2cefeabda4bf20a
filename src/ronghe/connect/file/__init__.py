"""Recordings as a driver: CSV and Parquet files, replayed at any speed."""

from ronghe.connect.file.driver import File
from ronghe.connect.file.options import Options

__all__ = ["File", "Options"]

"""Quality codes in words."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ronghe.signals import quality as q


@given(st.integers(0, 2**32 - 1))
def test_every_code_has_a_severity_a_reason_and_agrees_with_the_masks(code: int) -> None:
    codes = np.array([code], np.uint32)
    severity = q.severity(code)
    assert severity == ("good", "uncertain", "bad", "bad")[code >> 30]
    assert q.is_good(codes)[0] == (severity == "good")
    assert q.is_bad(codes)[0] == (severity == "bad")
    assert q.reason(code).en
    assert q.reason(code).zh


def test_info_bits_do_not_hide_the_reason() -> None:
    assert q.reason(q.BAD_TIMEOUT | 0x0480) == q.REASONS[q.BAD_TIMEOUT]
    assert q.reason(0x80FF0000).en == "bad (0x80FF0000)"


def test_codes_are_those_of_opc_ua() -> None:
    """Against the names that asyncua took from the OPC Foundation's table."""
    from asyncua.ua import StatusCodes as S

    assert S.UncertainLastUsableValue == q.UNCERTAIN_LAST_USABLE
    assert S.UncertainSubstituteValue == q.UNCERTAIN_SUBSTITUTE
    assert S.UncertainEngineeringUnitsExceeded == q.UNCERTAIN_RANGE
    assert S.BadNoCommunication == q.BAD_NO_COMMUNICATION
    assert S.BadWaitingForInitialData == q.BAD_WAITING
    assert S.BadNodeIdUnknown == q.BAD_NODE_UNKNOWN
    assert S.BadNotReadable == q.BAD_NOT_READABLE
    assert S.BadNotWritable == q.BAD_NOT_WRITABLE
    assert S.BadOutOfRange == q.BAD_OUT_OF_RANGE
    assert S.BadConfigurationError == q.BAD_CONFIGURATION
    assert S.BadDeviceFailure == q.BAD_DEVICE_FAILURE
    assert S.BadSensorFailure == q.BAD_SENSOR_FAILURE
    assert S.BadOutOfService == q.BAD_OUT_OF_SERVICE
    assert S.BadTimeout == q.BAD_TIMEOUT
    assert S.BadTypeMismatch == q.BAD_TYPE_MISMATCH
    assert S.BadDecodingError == q.BAD_DECODING

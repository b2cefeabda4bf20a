"""Bringing a release to a fleet: a few nodes first, then more, each wave only when the one before it does well."""

from ronghe.cloud.rollout.rollouts import Rollouts
from ronghe.cloud.rollout.spec import Gate, Member, Rollout, Wave

__all__ = ["Gate", "Member", "Rollout", "Rollouts", "Wave"]

"""Set-points tuned on the running process: a trust region that never jumps."""

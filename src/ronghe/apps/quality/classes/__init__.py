"""Which defect it is, learned from labelled examples: `labels` are found, `learn` tells them apart, `judge` names a new one."""

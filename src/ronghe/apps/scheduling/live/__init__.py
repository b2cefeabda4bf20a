"""Planning while the clock runs: the plan that is in force (`board`), the thread that improves it (`worker`), what happens (`events`,
`stops`)."""

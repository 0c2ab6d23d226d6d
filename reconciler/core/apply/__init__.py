"""Apply: the loop that makes a tenant match a plan (docs/internals/architecture.md, "The apply loop").

The loop is level-triggered: it does not replay a list of calls. It reads every rule, compares the
rules with the desired ones, makes the first step, and reads again, until nothing remains. The plan
that the user saw limits the changes; the comparison with the latest read gives the remaining ones.
The next read resolves a lost response, a crash and a second run at the same time. Running apply
again is always safe.
"""

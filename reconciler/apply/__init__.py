"""Apply: the loop that makes a tenant match a plan.

The loop is level-triggered: it does not replay a list of calls. It reads every rule, compares the rules with the
desired ones, makes the first step, and reads again, until nothing remains. The plan that the user saw says what may
change; the comparison with the latest read says what remains. A rule that is already right is not written.

A round: `known_state` lists the rules, and reads by id each rule that the list shows otherwise than expected, because a
list may come from a replica that is behind. The planner plans again from that read. `loop` drops the changes that the
plan does not cover or that failed too often, and schedules the others into waves, in an order in which each
conversation goes to its old or its new queue. It makes the first wave only, several rules at a time: the order is
proven for the rules as they were just read. `attempt` reads a rule by id, writes it if it is still in the planned
state, and turns the response into a verdict, which `progress` keeps.

After a lost response it is unknown whether the server made the write, or will make it. The loop does not repeat it: the
next read shows the change as done, or it is planned again, up to four times. A repeated create would make a second
rule: where lists lag, several reads must miss the rule first, and a duplicate that appears later is deleted. If no read
can follow, the outcome is "unknown", and the next run finds out. A crash, or a second run at the same time, therefore
needs no special treatment: no decision depends on the journal.

On a tenant that has not yet shown that it keeps the marker, the first write goes alone (`first_contact`); if the tenant
altered the rule, the loop reverts it and stops. Deletes come last, after a read that shows all other changes done. If
another change failed, nothing is deleted, because the old rule may still be needed.

The loop stops when
- a read shows that nothing remains: the run converged;
- the remaining changes failed, were tried four times, or wait for such a change;
- the user interrupts it, or a freeze window opens: calls that are under way end, and no other call starts;
- a managed rule that is not part of the plan changes; other rules change repeatedly or, with a reviewed plan, so that
  conversations would go elsewhere than reviewed; or a changed rule makes a guard refuse;
- no proven order exists for the remaining changes, and the guard `transient` is not lifted;
- the tenant refuses access, or too many rules are missing from a list: no further call is made.

The report says for every planned change whether it was applied, failed, was skipped, or is unknown. Running apply again
is always safe: the next run begins with a read, too.
"""

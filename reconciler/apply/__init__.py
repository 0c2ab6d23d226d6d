"""Apply: the loop that makes a tenant match a plan.

The loop is level-triggered. It does not replay a list of calls. It repeats four steps until nothing remains: read every
rule, compare the rules with the desired ones, write the first step, read again. The plan that a person saw says what
may change; the comparison with the latest read says what remains to be changed. A rule that is already right is not
written, whoever made it right.

Each round has the same parts. `known_state` reads the tenant: it lists the rules, and reads by id each rule that the
list shows otherwise than expected, because a list may come from a replica that is behind. The planner plans again from
that read. `loop` drops the changes that the plan does not cover (`admission`) or that failed too often, and schedules
the others into waves, in an order in which each conversation goes to its old or its new queue. It makes the first wave
only: one step for each rule, several rules at a time. `attempt` makes one step: it reads the rule by id, writes it if
it is still in the planned state, and turns the answer into a verdict. `progress` keeps the verdicts. Then the next
round reads again. The proof of the order holds for the rules that were read a moment ago, so it is made anew for each
wave.

A lost response means that nobody knows whether the write was done. The loop does not repeat the write, because the
server may still do it. The next read decides: if it shows the rule as sent, the change is done; if not, the change is
planned again, up to four times. A create is different, since a repeated create makes a second rule: where lists lag,
several reads must miss the rule before it is created again, and a duplicate that appears later is deleted. If no read
can follow, the outcome of the change is "unknown", and the next run finds out. For the same reason a crash, or a second
run at the same time, needs no special treatment: the journal is a record for people, and no decision depends on it.

The first write goes alone on a tenant that has not yet shown that it keeps the marker (`first_contact`). If the tenant
altered the rule, the loop reverts it and stops. Deletes come last, after a read that shows all other changes done. If
another change failed, nothing is deleted, because the old rule may still be needed.

The loop stops when
- a read shows that nothing remains: the run converged;
- the remaining changes failed, were tried four times, or wait for such a change;
- the user interrupts it, or a freeze window opens: calls that are under way end, and no other call starts;
- somebody else changes a managed rule that the plan is not about, changes other rules repeatedly or, with a reviewed
  plan, so that conversations would go elsewhere than reviewed, or makes a guard refuse;
- no proven order exists for the remaining changes, and the guard `transient` is not lifted;
- the tenant refuses access, or too many rules are missing from a list: no further call is made.

In each case the report says for every planned change whether it was applied, failed, was skipped, or is unknown.
Running apply again is always safe: the next run begins with a read, too.
"""

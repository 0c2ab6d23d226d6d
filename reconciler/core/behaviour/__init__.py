"""The behaviour of a list of rules: differences between two lists, facts about one, and a safe order of changes. Pure.

How the analysis works, with three rules on `intent` and `confidence`. The first rule that matches wins:

    1. "refunds": intent equals refund, confidence at least 0.8  -> queue Billing
    2. "sales":   intent in (order, refund)                      -> queue Sales
    3. "rest":    no condition                                   -> queue General

Values become atoms (space/domain.py). No condition distinguishes two intents that no rule names, or 0.81 from 0.9. So
the values of `intent` are four atoms: missing, order, refund, and "any text that no rule names". Those of `confidence`
are missing, any text, below 0.8, exactly 0.8, and above 0.8. An atom is a bit of an integer and a set of values is a
mask, so set operations are single instructions. A pattern such as `startsWith "ord"` cuts the unnamed texts further; a
set of values therefore also has two masks, of the patterns that hold and that do not hold (space/patterns.py).

Rules become boxes (space/space.py, space/boxes.py). The conditions of a rule are joined by "and", so a rule is one set
of values for each attribute: a box. Rule 1 is {refund} x {0.8, above 0.8}, rule 2 is {order, refund} x everything, rule
3 is everything. The box without the pivot (below) is the rule's shape. Ten thousand rules have a few hundred distinct
shapes, so a set of rules is a mask of shapes, and every answer about shapes is remembered. All analysis uses one
question, `find_free_box`: is a conversation in these boxes and in none of the other boxes, the blockers? The search
cuts the box at the sides of each blocker until a piece is free, or no piece remains.

The list becomes pivot slices (space/slices.py). The attribute of which rules name most values is the pivot, here
`intent`. Each of its atoms is a slice, and in a slice only the rules with that value matter: in "order" rules 2 and 3,
in "refund" all three, among unnamed texts rule 3 only. Rules with few values of the pivot are indexed by value. The
shapes of the rules in most slices are accumulated by rank, so "the shapes before this rule" is one look-up.

Two lists give pairs of winners (diff/winners.py). Swap rules 1 and 2. Every conversation has one winner before and one
after, so the difference is the set of pairs (old winner, new winner) that a conversation has and whose destinations
differ. The program walks down each slice: for an old rule, the shapes before it are blockers, and each new rule that
still finds a free box is a taker. Rules with equal conditions that keep their order are one rule and are not searched.
Here one pair remains: (refunds, sales) in the slice "refund", with confidence at least 0.8.

Pairs become regions (diff/regions.py). A region is the common box of both rules without the boxes of earlier rules,
which are its exceptions. Regions that differ in one attribute only are merged, exceptions on one attribute alone are
folded into the box, and masks become conditions again (space/clauses.py): "intent equals refund and confidence at least
0.8: Billing -> Sales". Each region has an example, for instance refund with 0.9, which evaluate.py routes through both
lists, rule by rule. An example that fails is a bug and stops the program.

Pairs become effects (diff/effects.py), which readers see. The edit of the pair is the cause: an edited rule takes its
conversations before or after. A row is the common box of both rules, and it names the earlier rules that overlap the
box instead of subtracting them. Readers know their rules, and a region repeats the complement of each one. Rows of one
edit with equal destinations that differ in one attribute are merged, if the earlier rules of both exclude only what
each of them excludes alone. Raise the bound of rule 1 from 0.8 to 0.9, and the effect is "refunds, confidence 0.8 ->
0.9" with one row, "refund, confidence 0.8 to 0.9: Billing -> Sales, by sales": where the edited rule matches in both
lists, its own box is taken out of the row.

The same question answers the rest. Facts (facts/): after the swap rule "refunds" has no free box behind "sales", so it
is shadowed. Containment (diff/containment.py): a reviewed plan covers a fresh region that has no free box outside the
reviewed ones. Promises (diff/promises.py): a promise is a rule on top of the list, and each rule that takes its
conversations against the promise is a pair. Order (ordering/): change A comes before change B where a conversation
would otherwise reach a queue that is neither its old nor its new one. Every search spends from a budget of comparisons
(budget.py), so results are equal on every machine; conversations that the budget did not suffice to decide are reported
as undecided.
"""

//! What can be tried without drawing is tried: orders of arrival, twins, crashes at each place.
//!
//! The sizes are those of one change in chapter 50, section 6.3; `--example nightly` plays the larger ones.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use klay_consensus::{
    istanbul::Compat,
    sim::{
        CrashSweep, Lab, Orders, Twins, crash_sweep, istanbul::IstanbulLab, justified::JustifiedLab, orders,
        sample_twins, simplex::SimplexLab,
    },
};

fn istanbul() -> IstanbulLab {
    IstanbulLab::new(4, Compat::default())
}

fn orders_hold<L: Lab + Clone>(lab: &L)
where
    L::Engine: Clone + Debug,
{
    for wanted in [Orders { depth: 12, ..Orders::one_round() }, Orders::two_rounds(6)] {
        let seen = orders(lab, wanted);
        assert!(seen.violations.is_empty() && !seen.stopped, "{wanted:?}: {seen:?}");
        assert_eq!(seen.depth, wanted.depth, "{seen:?}");
        println!("{:.0} orders, {} states, {} states of a node", seen.orders, seen.states, seen.seats);
    }
}

#[test]
fn twelve_messages_may_come_in_any_order() {
    orders_hold(&istanbul());
    orders_hold(&JustifiedLab::new(4));
    orders_hold(&SimplexLab::new(4));
}

/// Of the orders that are left out, none says or decides anything else.
fn reduced_orders_say_the_same<L: Lab + Clone>(lab: &L)
where
    L::Engine: Clone + Debug,
{
    for wanted in [Orders { depth: 8, ..Orders::one_round() }, Orders::two_rounds(5)] {
        let wanted = Orders { witness: true, ..wanted };
        let (all, some) = (orders(lab, wanted), orders(lab, wanted.reduced()));
        // What is answered at once, and more than once, may let more be said.
        let same = all.said == some.said || lab.fetches() && all.said.is_subset(&some.said);
        assert!(same, "{wanted:?}: {} and {} histories", all.said.len(), some.said.len());
        assert!(some.violations.is_empty() && some.states * 2 < all.states, "{wanted:?}: {some:?}");
        if lab.composes() {
            let together = orders(lab, wanted.composed());
            assert!(together.violations.is_empty() && !together.stopped, "{wanted:?}: {together:?}");
            assert!(all.said.is_subset(&together.said) && some.said.is_subset(&together.said), "{wanted:?}");
        }
    }
}

#[test]
fn orders_that_are_left_out_say_nothing_else() {
    reduced_orders_say_the_same(&istanbul());
    reduced_orders_say_the_same(&JustifiedLab::new(4));
    reduced_orders_say_the_same(&SimplexLab::new(4));
}

/// One round to its end: whatever the order, everybody decides the one value.
fn one_round_decides<L: Lab + Clone>(lab: &L)
where
    L::Engine: Clone + Debug,
{
    let seen = orders(lab, Orders::one_round().reduced());
    assert!(seen.violations.is_empty() && !seen.stopped && !seen.cut, "{seen:?}");
    let [outcome] = &seen.outcomes.iter().collect::<Vec<_>>()[..] else { panic!("{:?}", seen.outcomes) };
    assert!(outcome.iter().all(|decided| decided.is_some() && decided == &outcome[0]));
}

#[test]
fn every_order_of_one_round_decides() {
    one_round_decides(&istanbul());
    one_round_decides(&JustifiedLab::new(4));
}

/// What nodes can say together is found from what each can say by itself: in one round just what all orders say.
#[test]
fn one_round_put_together_is_one_round_in_order() {
    let one_round = Orders { witness: true, ..Orders::one_round() };
    let kept = Orders { keeps: true, ..one_round.composed() };
    let [in_order, together, kept] =
        [one_round.reduced(), one_round.composed(), kept].map(|wanted| orders(&SimplexLab::new(4), wanted));
    assert!(in_order.violations.is_empty() && !in_order.cut, "{in_order:?}");
    assert!(together.violations.is_empty() && !together.stopped, "{together:?}");
    assert_eq!(in_order.said, together.said);
    assert_eq!(kept.said, together.said);
    assert!(together.seats < in_order.seats, "{} and {}", together.seats, in_order.seats);
}

/// Two rounds to their end: nobody decides, some do, all do; always the value of the first round, or always the other.
#[test]
fn every_order_of_two_rounds_of_simplex_agrees() {
    let seen = orders(&SimplexLab::new(4), Orders::two_rounds(24).composed());
    assert!(seen.violations.is_empty() && !seen.stopped, "{seen:?}");
    let values: BTreeSet<_> = seen.outcomes.iter().flatten().flatten().collect();
    assert_eq!((values.len(), seen.outcomes.len()), (2, 31));
    for outcome in &seen.outcomes {
        assert!(outcome.iter().flatten().collect::<BTreeSet<_>>().len() < 2, "{outcome:?}");
    }
}

fn twins_hold<L: Lab + Clone>(lab: &L) -> u64 {
    let heights = if lab.pipelined() { 4 } else { 1 };
    let seen = sample_twins(lab, Twins { twins: 1, rounds: 4, heights }, 0..5000);
    assert!(seen.violations.is_empty(), "{:?}", seen.violations);
    seen.stuck
}

#[test]
fn twins_under_any_leaders_and_partitions_decide_one_value() {
    assert_eq!(twins_hold(&JustifiedLab::new(4)), 0);
    assert_eq!(twins_hold(&SimplexLab::new(4)), 0);
    println!("{} of 5000 scenarios stop for ever on the reference's locks", twins_hold(&istanbul()));
}

fn crashes_are_survived<L: Lab>(lab: L) {
    let lab = Arc::new(lab);
    // Leaders take turns: what one node does in twenty heights, each of them does.
    let crashes = CrashSweep::survey(&lab, 0, 20);
    assert!(crashes.runs() > 1000, "{}", crashes.runs());
    let seen = crash_sweep(&lab, &crashes, 0..crashes.runs(), 2);
    assert_eq!((seen.seeds, seen.unfinished), (crashes.runs(), 0));
    assert_eq!(seen.metrics.restarts, seen.seeds, "each run has its crash");
    assert!(seen.violations.is_empty() && seen.known.is_empty(), "{:?} {:?}", seen.violations, seen.failing);
}

#[test]
fn a_crash_after_anything_that_istanbul_does_is_survived() {
    crashes_are_survived(istanbul());
}

#[test]
fn a_crash_after_anything_that_justified_istanbul_does_is_survived() {
    crashes_are_survived(JustifiedLab::new(4));
}

#[test]
fn a_crash_after_anything_that_simplex_does_is_survived() {
    crashes_are_survived(SimplexLab::new(4));
}

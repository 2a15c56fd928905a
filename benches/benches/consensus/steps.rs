//! Engines of the lab around a table: nothing is lost, signatures are mocks, all answers come at once. What is timed is
//! [`Engine::step`] alone.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use klay_consensus::{
    istanbul::Compat,
    sim::{Lab, MsgOf, PeerOf, ValueOf, istanbul::IstanbulLab, justified::JustifiedLab, simplex::SimplexLab},
    types::{Effect, Effects, Engine, Floor, Height, Input, Lsn, Model, Time, TimerId, Value, Verdict},
};

use crate::quantile;

/// Steps that are timed, after a tenth as many that are not.
const STEPS: usize = 400_000;

pub(crate) fn measure() {
    println!("one step, messages checked; decided heights, mean, median, 99 of 100, longest");
    for nodes in [4, 100] {
        show("istanbul", &mut Table::new(IstanbulLab::new(nodes, Compat::default())));
        show("justified", &mut Table::new(JustifiedLab::new(nodes)));
        show("simplex", &mut Table::new(SimplexLab::new(nodes)));
    }
}

fn show<L: Lab>(name: &str, table: &mut Table<L>) {
    table.play(STEPS / 10);
    table.spans.clear();
    let first = table.lowest();
    table.play(STEPS);
    let (heights, mean) = (table.lowest() - first, table.spans.iter().sum::<Duration>() / STEPS as u32);
    table.spans.sort_unstable();
    let [median, p99, longest] = [0.5, 0.99, 1.0].map(|share| quantile(&table.spans, share));
    println!("{name:10} n={:<4} {heights:6} {mean:9.1?} {median:9.1?} {p99:9.1?} {longest:9.1?}", table.nodes.len());
}

type InputOf<L> = Input<<L as Lab>::Model, MsgOf<L>>;
type IdOf<L> = <<L as Lab>::Model as Model>::Id;
type RecordOf<L> = <<L as Lab>::Engine as Engine<<L as Lab>::Model>>::Record;

struct Node<L: Lab> {
    engine: L::Engine,
    fx: Effects<L::Model, MsgOf<L>, RecordOf<L>>,
    timers: BTreeMap<TimerId, Time>,
    height: Height,
}

struct Table<L: Lab> {
    lab: L,
    nodes: Vec<Node<L>>,
    seats: BTreeMap<PeerOf<L>, usize>,
    heights: HashMap<IdOf<L>, Height>,
    /// Inputs that wait, each with its node.
    queue: VecDeque<(usize, InputOf<L>)>,
    now: Time,
    spans: Vec<Duration>,
}

impl<L: Lab> Table<L> {
    fn new(lab: L) -> Self {
        let floor = || Floor { height: Height::ZERO, id: lab.genesis(), next_at: Time::ZERO };
        let open = |node| Node {
            engine: L::Engine::open(lab.config(node), floor(), Vec::new()).expect("the lab's engines open"),
            fx: Effects::new(Lsn::new(1)),
            timers: BTreeMap::new(),
            height: Height::ZERO,
        };
        Self {
            nodes: (0..lab.nodes()).map(open).collect(),
            seats: (0..lab.nodes()).map(|node| (lab.peer(node), node)).collect(),
            heights: HashMap::from([(lab.genesis(), Height::ZERO)]),
            queue: (0..lab.nodes()).map(|node| (node, Input::Start)).collect(),
            now: Time::ZERO,
            spans: Vec::new(),
            lab,
        }
    }

    /// The height that all have.
    fn lowest(&self) -> u64 {
        self.nodes.iter().map(|node| node.height.get()).min().unwrap_or(0)
    }

    fn play(&mut self, steps: usize) {
        let wanted = self.spans.len() + steps;
        while self.spans.len() < wanted {
            match self.queue.pop_front() {
                Some((node, input)) => self.step(node, input),
                None => self.wait(),
            }
        }
    }

    /// Nothing is under way: the earliest timer fires.
    fn wait(&mut self) {
        let timers = |(node, it): (usize, &Node<L>)| it.timers.iter().map(move |(id, at)| (*at, node, *id)).min();
        let (at, node, id) = self.nodes.iter().enumerate().filter_map(timers).min().expect("a round has a timer");
        self.nodes[node].timers.remove(&id);
        self.now = self.now.max(at);
        self.queue.push_back((node, Input::Timer(id)));
    }

    fn step(&mut self, index: usize, input: InputOf<L>) {
        let node = &mut self.nodes[index];
        let start = Instant::now();
        node.engine.step(self.now, input, &mut node.fx);
        self.spans.push(start.elapsed());
        for effect in node.fx.take(Vec::new()) {
            self.perform(index, effect);
        }
    }

    fn perform(&mut self, index: usize, effect: Effect<L::Model, MsgOf<L>, RecordOf<L>>) {
        match effect {
            Effect::Sign { ticket, digest, .. } => {
                let result = Ok(self.lab.sign(index, digest));
                self.queue.push_front((index, Input::Signed { ticket, result }));
            }
            Effect::Send { to, msg, .. } => self.send(index, &[to], &msg),
            Effect::Broadcast { to, msg, .. } | Effect::Relay { to, msg, .. } => self.send(index, &to, &msg),
            Effect::SetTimer { id, at } => {
                self.nodes[index].timers.insert(id, at);
            }
            Effect::Cancel(id) => {
                self.nodes[index].timers.remove(&id);
            }
            Effect::Build { slot, parent, .. } => {
                let value = self.build(index, parent);
                self.queue.push_back((index, Input::Built { slot, value }));
            }
            Effect::Check { slot, value } => {
                self.queue.push_back((index, Input::Verdict { slot, id: value.id(), verdict: Verdict::Valid }));
            }
            Effect::Decide { value, .. } => {
                let (id, height) = (value.id(), value.height());
                self.nodes[index].height = height;
                self.queue.push_front((index, Input::Head { floor: Floor { height, id, next_at: self.now } }));
                self.queue.push_front((index, Input::Applied { id, result: Ok(()) }));
            }
            _ => {}
        }
    }

    fn send(&mut self, from: usize, to: &[PeerOf<L>], msg: &MsgOf<L>) {
        let from = self.lab.peer(from);
        for seat in to.iter().filter_map(|peer| self.seats.get(peer)) {
            self.queue.push_back((*seat, Input::Message { from, msg: msg.clone(), checked: true }));
        }
    }

    fn build(&mut self, index: usize, parent: IdOf<L>) -> Option<ValueOf<L>> {
        let height = self.heights.get(&parent)?.saturating_add(1);
        let value = self.lab.value(index, height, parent, 0, true);
        self.heights.insert(value.id(), height);
        Some(value)
    }
}

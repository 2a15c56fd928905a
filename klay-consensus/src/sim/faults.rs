//! What goes wrong in a run.

use core::time::Duration;

/// How delays are spread between their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delays {
    /// Every delay is as likely as every other.
    #[default]
    Uniform,
    /// Nine in ten are near the shortest, the others near the longest.
    Bimodal,
    /// Each node lives in one of five places of the world; the bounds only add jitter.
    Wan,
}

impl Delays {
    const NAMES: [(&'static str, Self); 3] =
        [("uniform", Self::Uniform), ("bimodal", Self::Bimodal), ("wan", Self::Wan)];
}

/// Faults of a run. Rates are in thousandths; they hold until the network settles, except where noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// Messages lost.
    pub drop: u32,
    /// Messages delivered twice.
    pub duplicate: u32,
    /// Messages delivered with a bit changed.
    pub corrupt: u32,
    /// Shortest delay of a message.
    pub delay_min: Duration,
    /// Longest delay of a message once the network behaves.
    pub delay_max: Duration,
    /// Longest delay before the network behaves.
    pub delay_wild: Duration,
    /// How delays are spread.
    pub delays: Delays,
    /// Bytes a second on each link, 0 for any number. Holds for the whole run.
    pub bandwidth: u32,
    /// When the network begins to behave: no loss, no partition, delays within bounds.
    pub settles_at: Duration,
    /// Episodes in which the network is cut into up to three parts.
    pub partitions: u32,
    /// Episodes in which one node does not hear another.
    pub one_way: u32,
    /// Longest time of an episode; 0 for up to the time at which the network settles.
    pub episode: Duration,
    /// Nodes whose messages take ten times as long.
    pub slow_nodes: u32,
    /// How often the first node to decide a height is cut off at that moment, so that the others have to find its
    /// decision again by themselves.
    pub isolate_deciders: u32,
    /// How many views have their second votes reach a single node only, so that it alone decides.
    pub starve_votes: u32,
    /// Whether each view has a partition of its own, as in twins tests.
    pub split_views: u32,
    /// Crashes, spread over all honest nodes and the time before the network settles.
    pub crashes: u32,
    /// Longest time that a crashed node stays down.
    pub downtime: Duration,
    /// Whether an empty disk and an older copy are tried at each restart; both must be refused.
    pub old_copies: u32,
    /// Largest offset of a clock.
    pub clock_offset: Duration,
    /// Largest drift of a clock, in millionths. Holds for the whole run.
    pub clock_drift: u32,
    /// Jumps of calendar clocks by up to two seconds, and of timer clocks forwards.
    pub clock_steps: u32,
    /// What byzantine nodes do. One node each, from the last one backwards.
    pub byzantine: Vec<Byzantine>,
    /// Values that the application refuses, of those that byzantine nodes propose.
    pub invalid_values: u32,
    /// Values that take long to build.
    pub slow_builds: u32,
    /// Values that take long to check.
    pub slow_checks: u32,
    /// Decided values that the application fails to apply.
    pub apply_failures: u32,
    /// Heights after which another node leaves the set of validators and the last one returns; 0 for never. Holds for
    /// the whole run.
    pub set_change: u32,
    /// If not 0, leaders are drawn, not in turn.
    pub leaders: u32,
}

/// What a byzantine node does. It runs the same engine, without a gate, and its messages pass through the adversary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Byzantine {
    /// Says nothing.
    Silent,
    /// Says different things to different peers.
    Equivocate,
    /// Says two things to the same peer.
    DoubleVote,
    /// Spoils what the chain would keep of its votes.
    BadSeal,
    /// Asks for rounds far ahead.
    FarAhead,
    /// Repeats old messages of anybody.
    Replay,
    /// Sends each message only to some.
    Withhold,
    /// Votes in every way for everything it hears of.
    VoteForAnything,
    /// Asks again for rounds that are past.
    Stale,
    /// Speaks in the name of others.
    Impersonate,
    /// Proposes values that the application refuses.
    InvalidValues,
    /// Proposes values whose time has not come.
    FutureValues,
    /// Sends bytes that are no messages.
    Garbage,
    /// Sends many votes for many views.
    Flood,
    /// Two copies of an honest node share the key, each in its own part of the network.
    Twin,
    /// Sends values in forms that their names do not cover, or leaves them out where they belong.
    OddForms,
}

impl Byzantine {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Silent,
        Self::Equivocate,
        Self::DoubleVote,
        Self::BadSeal,
        Self::FarAhead,
        Self::Replay,
        Self::Withhold,
        Self::VoteForAnything,
        Self::Stale,
        Self::Impersonate,
        Self::InvalidValues,
        Self::FutureValues,
        Self::Garbage,
        Self::Flood,
        Self::Twin,
        Self::OddForms,
    ];

    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Equivocate => "equivocate",
            Self::DoubleVote => "double-vote",
            Self::BadSeal => "bad-seal",
            Self::FarAhead => "far-ahead",
            Self::Replay => "replay",
            Self::Withhold => "withhold",
            Self::VoteForAnything => "vote-for-anything",
            Self::Stale => "stale",
            Self::Impersonate => "impersonate",
            Self::InvalidValues => "invalid-values",
            Self::FutureValues => "future-values",
            Self::Garbage => "garbage",
            Self::Flood => "flood",
            Self::Twin => "twin",
            Self::OddForms => "odd-forms",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One setting of [`Faults`], to be read, written or left out.
pub(super) enum Setting<'a> {
    Number(&'a mut u32),
    Span(&'a mut Duration),
    Delays(&'a mut Delays),
    Nodes(&'a mut Vec<Byzantine>),
}

impl Setting<'_> {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Span(span) => span.as_nanos().to_string(),
            Self::Delays(delays) => {
                Delays::NAMES.iter().find(|(_, d)| d == *delays).map_or("", |(name, _)| name).to_owned()
            }
            Self::Nodes(nodes) => nodes.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
        }
    }

    /// Takes over a value; false if the text is not one.
    pub(super) fn set(&mut self, text: &str) -> bool {
        match self {
            Self::Number(number) => text.parse().map(|n| **number = n).is_ok(),
            Self::Span(span) => text.parse().map(|n| **span = Duration::from_nanos(n)).is_ok(),
            Self::Delays(delays) => {
                let found = Delays::NAMES.iter().find(|(name, _)| *name == text);
                found.map(|(_, d)| **delays = *d).is_some()
            }
            Self::Nodes(nodes) => {
                let kinds: Option<Vec<_>> =
                    text.split(',').filter(|name| !name.is_empty()).map(Byzantine::from_name).collect();
                kinds.map(|kinds| **nodes = kinds).is_some()
            }
        }
    }
}

impl Faults {
    /// A network that behaves from the start: delays of 10 to 100 milliseconds and nothing else.
    pub const fn none() -> Self {
        Self {
            drop: 0,
            duplicate: 0,
            corrupt: 0,
            delay_min: Duration::from_millis(10),
            delay_max: Duration::from_millis(100),
            delay_wild: Duration::from_millis(100),
            delays: Delays::Uniform,
            bandwidth: 0,
            settles_at: Duration::ZERO,
            partitions: 0,
            one_way: 0,
            episode: Duration::ZERO,
            slow_nodes: 0,
            isolate_deciders: 0,
            starve_votes: 0,
            split_views: 0,
            crashes: 0,
            downtime: Duration::ZERO,
            old_copies: 0,
            clock_offset: Duration::ZERO,
            clock_drift: 0,
            clock_steps: 0,
            byzantine: Vec::new(),
            invalid_values: 0,
            slow_builds: 0,
            slow_checks: 0,
            apply_failures: 0,
            set_change: 0,
            leaders: 0,
        }
    }

    /// The mean delay of a message once the network behaves: what "a message delay" means in figures.
    pub fn mean_delay(&self) -> Duration {
        match self.delays {
            Delays::Uniform => (self.delay_min + self.delay_max) / 2,
            Delays::Bimodal => self.delay_min + (self.delay_max - self.delay_min) / 20 * 3,
            Delays::Wan => super::network::mean_way(),
        }
    }

    /// Every setting by name.
    pub(super) fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        use Setting::{Delays, Nodes, Number, Span};
        vec![
            ("drop", Number(&mut self.drop)),
            ("duplicate", Number(&mut self.duplicate)),
            ("corrupt", Number(&mut self.corrupt)),
            ("delay_min", Span(&mut self.delay_min)),
            ("delay_max", Span(&mut self.delay_max)),
            ("delay_wild", Span(&mut self.delay_wild)),
            ("delays", Delays(&mut self.delays)),
            ("bandwidth", Number(&mut self.bandwidth)),
            ("settles_at", Span(&mut self.settles_at)),
            ("partitions", Number(&mut self.partitions)),
            ("one_way", Number(&mut self.one_way)),
            ("episode", Span(&mut self.episode)),
            ("slow_nodes", Number(&mut self.slow_nodes)),
            ("isolate_deciders", Number(&mut self.isolate_deciders)),
            ("starve_votes", Number(&mut self.starve_votes)),
            ("split_views", Number(&mut self.split_views)),
            ("crashes", Number(&mut self.crashes)),
            ("downtime", Span(&mut self.downtime)),
            ("old_copies", Number(&mut self.old_copies)),
            ("clock_offset", Span(&mut self.clock_offset)),
            ("clock_drift", Number(&mut self.clock_drift)),
            ("clock_steps", Number(&mut self.clock_steps)),
            ("byzantine", Nodes(&mut self.byzantine)),
            ("invalid_values", Number(&mut self.invalid_values)),
            ("slow_builds", Number(&mut self.slow_builds)),
            ("slow_checks", Number(&mut self.slow_checks)),
            ("apply_failures", Number(&mut self.apply_failures)),
            ("set_change", Number(&mut self.set_change)),
            ("leaders", Number(&mut self.leaders)),
        ]
    }
}

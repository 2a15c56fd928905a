//! The engines that the lab knows by name.

use std::{ops::Range, str::FromStr, sync::Arc};

use klay_consensus::{
    istanbul::Compat,
    sim::{
        Lab, Report, Run, Sweep, istanbul::IstanbulLab, justified::JustifiedLab, run, shrink, simplex::SimplexLab,
        sweep,
    },
};

/// An engine by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EngineName {
    /// The public networks' protocol with every deviation that its nodes accept.
    Istanbul,
    /// The same without any: the reference with its faults.
    Faithful,
    /// Istanbul without locks.
    Justified,
    /// Two delays to the next block.
    Simplex,
    /// The same, building on applied values only.
    Sequential,
}

/// Does something with a lab, whatever its engine.
trait Visit {
    type Out;
    fn visit<L: Lab>(self, lab: &Arc<L>) -> Self::Out;
}

impl EngineName {
    pub(crate) const ALL: [Self; 5] =
        [Self::Istanbul, Self::Faithful, Self::Justified, Self::Simplex, Self::Sequential];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Istanbul => "istanbul",
            Self::Faithful => "istanbul-faithful",
            Self::Justified => "justified",
            Self::Simplex => "simplex",
            Self::Sequential => "simplex-sequential",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Istanbul => "rules of the public networks, with every mend that their nodes accept",
            Self::Faithful => "exactly as the reference client, faults included",
            Self::Justified => "Istanbul without locks: proposals carry their justification",
            Self::Simplex => "two message delays to the next block, three to a final one",
            Self::Sequential => "simplex that builds on applied blocks only",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }

    fn with<T: Visit>(self, validators: u32, visit: T) -> T::Out {
        let n = validators as usize;
        match self {
            Self::Istanbul => visit.visit(&Arc::new(IstanbulLab::new(n, Compat::default()))),
            Self::Faithful => visit.visit(&Arc::new(IstanbulLab::new(n, Compat::reference()))),
            Self::Justified => visit.visit(&Arc::new(JustifiedLab::new(n))),
            Self::Simplex => visit.visit(&Arc::new(SimplexLab::new(n))),
            Self::Sequential => visit.visit(&Arc::new(SimplexLab::new(n).in_sequence())),
        }
    }

    /// Plays many seeds.
    pub(crate) fn sweep(
        self,
        validators: u32,
        seeds: Range<u64>,
        threads: usize,
        make: &(impl Fn(u64) -> Run + Sync),
        done: &(impl Fn(&Run, &Report) + Sync),
    ) -> Sweep {
        struct Many<'a, M, D>(Range<u64>, usize, &'a M, &'a D);
        impl<M: Fn(u64) -> Run + Sync, D: Fn(&Run, &Report) + Sync> Visit for Many<'_, M, D> {
            type Out = Sweep;
            fn visit<L: Lab>(self, lab: &Arc<L>) -> Sweep {
                sweep(lab, self.0, self.1, self.2, self.3)
            }
        }
        self.with(validators, Many(seeds, threads, make, done))
    }

    /// Makes a failing run small.
    pub(crate) fn shrink(self, validators: u32, failing: Run) -> Option<(Run, Report)> {
        struct Small(Run);
        impl Visit for Small {
            type Out = Option<(Run, Report)>;
            fn visit<L: Lab>(self, lab: &Arc<L>) -> Self::Out {
                shrink(lab, self.0)
            }
        }
        self.with(validators, Small(failing))
    }

    /// Plays one run.
    pub(crate) fn play(self, validators: u32, wanted: Run) -> Report {
        struct One(Run);
        impl Visit for One {
            type Out = Report;
            fn visit<L: Lab>(self, lab: &Arc<L>) -> Report {
                run(lab, self.0)
            }
        }
        self.with(validators, One(wanted))
    }
}

impl FromStr for EngineName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

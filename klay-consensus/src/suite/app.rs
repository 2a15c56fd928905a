//! Rules of applications.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Outcome, broken, keeps};
use crate::{
    host::{App, BuildRequest, Tip},
    types::{Model, Slot, Value as _, Verdict},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Has `app` build, check and apply `heights` values. `certify` makes the proof of a decision.
///
/// | Id | Rule |
/// |---|---|
/// | AP-1 | the head is the same until something is applied |
/// | AP-2 | what is built follows the parent it was asked for, and is at the height of its slot |
/// | AP-3 | what is built is valid, at once or after the wait that is named |
/// | AP-4 | building may be dropped half way, and so may checking |
/// | AP-5 | what is applied is the new head |
/// | AP-6 | what is applied already moves nothing, neither checked nor applied once more |
/// | AP-7 | every call ends |
///
/// # Errors
/// The first rule that is broken.
pub async fn app<M: Model>(app: &dyn App<M>, heights: u64, certify: impl Fn(&M::Value) -> M::Cert) -> Outcome {
    for _ in 0..heights {
        let tip = ends("head", app.head()).await?;
        unmoved("AP-1", app, &tip).await?;
        let slot = tip.height.saturating_add(1).slot();
        // Dropped after a moment.
        let _dropped = timeout(Duration::from_millis(1), app.build(ask(slot, &tip))).await.is_err();
        let built = ends("build", app.build(ask(slot, &tip))).await?;
        let value = built.ok_or_else(|| broken("AP-2", "an empty value was wanted, none was built"))?;
        let follows = value.parent() == tip.id && value.height() == tip.height.saturating_add(1);
        keeps("AP-2", follows, || format!("height {} on {:?} after {tip:?}", value.height(), value.parent()))?;
        let _dropped = timeout(Duration::from_millis(1), app.check(slot, value.clone())).await.is_err();
        is_valid(app, slot, &value).await?;
        unmoved("AP-1", app, &tip).await?;

        let applied = ends("apply", app.apply(value.clone(), certify(&value))).await?;
        let head = applied.map_err(|error| broken("AP-5", format!("what is valid is not applied: {error}")))?;
        let is_head = head.height == value.height() && head.id == value.id();
        keeps("AP-5", is_head, || format!("head {head:?} after {:?} was applied", value.id()))?;
        unmoved("AP-5", app, &head).await?;
        let _verdict = ends("check", app.check(slot, value.clone())).await?;
        let _again = ends("apply", app.apply(value.clone(), certify(&value))).await?;
        unmoved("AP-6", app, &head).await?;
    }
    Ok(())
}

const fn ask<M: Model>(slot: Slot, tip: &Tip<M>) -> BuildRequest<M> {
    BuildRequest { slot, parent: tip.id, within: Duration::from_millis(250), empty: true }
}

async fn ends<T>(call: &str, work: impl Future<Output = T>) -> Result<T, super::Broken> {
    timeout(PATIENCE, work).await.map_err(|_| broken("AP-7", format!("{call} takes longer than {PATIENCE:?}")))
}

async fn unmoved<M: Model>(rule: &'static str, app: &dyn App<M>, tip: &Tip<M>) -> Outcome {
    let now = ends("head", app.head()).await?;
    keeps(rule, now.height == tip.height && now.id == tip.id, || format!("head {now:?} after {tip:?}"))
}

async fn is_valid<M: Model>(app: &dyn App<M>, slot: Slot, value: &M::Value) -> Outcome {
    for _ in 0..20 {
        match ends("check", app.check(slot, value.clone())).await? {
            Verdict::Valid => return Ok(()),
            Verdict::Invalid(why) => return Err(broken("AP-3", format!("its own value is refused: {why}"))),
            Verdict::NotYet { wait } => sleep(wait.min(PATIENCE)).await,
        }
    }
    Err(broken("AP-3", "its own value is never valid"))
}

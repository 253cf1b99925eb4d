//! How often something is looked at: nothing runs hot.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Broken;
use crate::controller::Pass;
use crate::store::Key;

/// Looks at one object in one minute that change nothing; more often than every other second is hot.
const IDLE: u32 = 30;
/// Looks at one object at one moment that change something; two loops that undo each other's writes are hot.
const BUSY: u32 = 200;

/// Counts of looks, by object.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// The minute, and looks without a change in it.
    idle: BTreeMap<Arc<Key>, (i64, u32)>,
    /// The moment, and looks with a change at it.
    busy: BTreeMap<Arc<Key>, (Timestamp, u32)>,
}

impl Pace {
    /// Notes one look while no faults happen.
    pub(crate) fn note(
        &mut self,
        key: &Arc<Key>,
        pass: &Pass,
        wake: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Broken> {
        let Pass::Done { writes } = pass else {
            return Ok(());
        };
        if *writes > 0 {
            let (at, looks) = count(&mut self.busy, key, now);
            return if looks > BUSY {
                Err(Broken {
                    promise: "nothing is written again and again",
                    seen: format!("{key}: {looks} times at {at}"),
                })
            } else {
                Ok(())
            };
        }
        if wake.is_some_and(|at| at <= now) {
            return Err(Broken {
                promise: "nobody asks to be looked at in the past",
                seen: format!("{key}: at {wake:?}, and it is {now}"),
            });
        }
        let (minute, looks) = count(&mut self.idle, key, now.as_second() / 60);
        if looks > IDLE {
            return Err(Broken {
                promise: "nothing is looked at again and again",
                seen: format!("{key}: {looks} times in minute {minute} without a change"),
            });
        }
        Ok(())
    }
}

/// Counts one look; a new time begins anew.
fn count<T: Copy + PartialEq>(
    looks: &mut BTreeMap<Arc<Key>, (T, u32)>,
    key: &Arc<Key>,
    time: T,
) -> (T, u32) {
    let entry = looks.entry(Arc::clone(key)).or_insert((time, 0));
    if entry.0 != time {
        *entry = (time, 0);
    }
    entry.1 += 1;
    *entry
}

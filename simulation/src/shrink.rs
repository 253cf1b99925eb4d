//! Makes a failing schedule small: leaves out what it fails without, until nothing more can be left out.

use crate::oracle::Broken;
use crate::schedule::Step;

/// The smallest schedule found that still breaks the same promise.
pub fn shrink(
    steps: &[Step],
    broken: &Broken,
    mut play: impl FnMut(&[Step]) -> Option<Broken>,
) -> Vec<Step> {
    smallest(steps, |steps| {
        play(steps).is_some_and(|found| found.promise == broken.promise)
    })
}

/// The smallest list found that still fails, whatever it is a list of.
pub fn smallest<T: Clone>(steps: &[T], mut still_fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut best = steps.to_vec();
    let mut size = best.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < best.len() {
            let mut candidate = best.clone();
            candidate.drain(from..(from + size).min(best.len()));
            if still_fails(&candidate) {
                best = candidate;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Order;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let needed = [Step::Order(Order::Abort), Step::Restart];
        let mut steps = vec![Step::CatchUp; 40];
        steps.insert(7, needed[0]);
        steps.insert(31, needed[1]);
        let broken = Broken {
            promise: "p",
            seen: String::new(),
        };
        let found = shrink(&steps, &broken, |steps| {
            needed
                .iter()
                .all(|step| steps.contains(step))
                .then(|| broken.clone())
        });
        assert_eq!(found, needed);
    }
}

//! The analysis loop. A measurement is answered at once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sluice_analysis::plan::RunPlan;
use sluice_crds::analysis::AnalysisRun;

use super::act::{Act, Write};
use super::{Controller, Pass};
use crate::metrics::Metrics;
use crate::store::{Expected, Object};

impl Controller {
    pub(super) fn run(
        &mut self,
        object: &Object,
        metrics: &Metrics,
        act: &mut Act<'_>,
    ) -> Result<Option<Timestamp>, Pass> {
        let Some(run) = object.run() else {
            return Err(Pass::Gone);
        };
        let plan = (self.engine.run)(run, &BTreeSet::new(), act.now);
        act.coverage.run(&plan);
        let mut version = object.version;
        write_status(object, run, &plan, &mut version, act)?;
        let mut wake = plan.wake_at;
        if !plan.measure.is_empty() {
            let mut run = run.clone();
            run.status = Some(plan.status.clone());
            for request in &plan.measure {
                if metrics.outage {
                    act.coverage.fault("metrics outage");
                }
                let outcome = metrics.measure(act.store, &run, request, act.now);
                let name = &request.metric.name;
                let absorbed = sluice_analysis::run::absorb(&run, name, outcome, act.now);
                write_status(object, &run, &absorbed, &mut version, act)?;
                wake = absorbed.wake_at.or(wake);
                run.status = Some(absorbed.status);
            }
        }
        if plan.delete {
            let expected = Expected {
                uid: Some(object.uid().to_owned()),
                resource_version: None,
            };
            act.write(
                &Write::RunDeletion,
                || object.key.as_ref().clone(),
                |store| store.delete(&object.key, &expected).map(|()| None),
            )?;
        }
        // What was measured is decided on in a pass of its own, which the write wakes.
        Ok(wake.filter(|at| *at > act.now || act.writes == 0))
    }
}

fn write_status(
    object: &Object,
    run: &AnalysisRun,
    plan: &RunPlan,
    version: &mut u64,
    act: &mut Act<'_>,
) -> Result<(), Pass> {
    let status = run.status.as_ref();
    let written = act.status(&Write::RunStatus, object, *version, status, &plan.status)?;
    if let Some(written) = written {
        *version = written.version;
    }
    Ok(())
}

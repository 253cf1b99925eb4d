//! One sync as a state machine: which objects are applied, pruned and waited for, and in which order.
//!
//! [`task`] makes the ordered tasks; [`step`] says what to do next, from the results so far and the live objects. Both
//! are pure, and nothing is kept between two steps but what `status.operationState` says, so a controller that dies
//! at any moment goes on where it was.

mod kind_order;
pub mod step;
pub mod task;

pub use step::{Action, OperationPhase, Progress, Step, StepOutcome, finish, next};
pub use task::{Plan, PlanInput, Task, Work, plan};

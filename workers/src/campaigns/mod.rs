//! Carrying campaigns out. What is to be done stands in the database ([`hubbub_core::campaigns::engine`]); here is who
//! does it when.
//!
//! Every process has a [`conductor`], which takes campaigns in hand that nobody holds. A [`holder`] hands out portions
//! of its campaign as jobs, which any process works on ([`work`]); campaigns with a rate it works on itself. A job that
//! is lost is handed out again, one that comes twice does nothing the second time.

mod conductor;
mod holder;
mod pace;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use hubbub_core::{
    Core,
    broker::{Job, JobHandler, Outcome},
    campaigns::engine::Portion,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::work::Work;
use crate::post::Post;

/// How many jobs a process takes from each shard at a time: few, so that campaigns take turns.
pub(crate) const PREFETCH: u16 = 2;

/// Takes jobs from the broker.
struct Hand(Arc<Work>);

#[async_trait]
impl JobHandler for Hand {
    async fn run(&self, job: Job) -> Outcome {
        match serde_json::from_slice::<Portion>(&job.payload) {
            Ok(portion) => {
                // What was not done is handed out again.
                self.0.portion(&portion).await;
                Outcome::Done
            }
            Err(error) => Outcome::DeadLetter(format!("not a campaign job of this version: {error}")),
        }
    }
}

/// Starts carrying campaigns out; the answer is to work on jobs.
pub(crate) fn start(
    core: &Arc<Core>,
    post: &Arc<Post>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<dyn JobHandler> {
    let work = Arc::new(Work::new(Arc::clone(core), Arc::clone(post), stop.clone()));
    tasks.spawn(conductor::run(Arc::clone(&work), stop.clone()));
    Arc::new(Hand(work))
}

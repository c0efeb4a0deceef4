//! Workers that judge batches of answers, again after failures, until a deadline.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::Limits;
use super::protocol::{Reply, Request};
use crate::ungraded::Reason;
use crate::weighted_sum::Score;
use crate::{Answer, Ungraded};

/// One that judges batches of requests outside of this program.
pub(crate) trait Worker: Send {
    /// Sends the requests and takes what is replied to them, each at most once, until `deadline` at the latest; says what went
    /// wrong unless all were replied to.
    fn exchange(&mut self, requests: &[Request<'_>], deadline: Instant) -> (Vec<Reply>, Option<Fault>);
}

/// What went wrong with a batch.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    /// The end of a program's standard error.
    pub(crate) errors: String,
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { reason, errors: String::new() }
    }
}

/// Workers of one part of a reward.
pub(crate) struct Pool<W> {
    name: String,
    limits: Limits,
    workers: Vec<Mutex<W>>,
    next_id: AtomicU64,
}

/// Answers to be sent together: their places, and how often they were sent before.
struct Batch {
    places: Vec<usize>,
    attempts: usize,
}

/// What is left of a round.
struct Round {
    left: Mutex<Left>,
    /// Told whenever a batch comes back.
    changed: Condvar,
    deadline: Instant,
}

struct Left {
    queue: VecDeque<Batch>,
    /// Batches that workers are at, of which answers may yet be put back.
    in_flight: usize,
}

impl Round {
    /// The next batch, waited for as long as others may come back; none after the last or the deadline.
    fn next(&self) -> Option<Batch> {
        let mut left = locked(&self.left);
        loop {
            let time = self.deadline.saturating_duration_since(Instant::now());
            if time.is_zero() {
                return None;
            }
            if let Some(batch) = left.queue.pop_front() {
                left.in_flight += 1;
                return Some(batch);
            }
            if left.in_flight == 0 {
                return None;
            }
            left = self.changed.wait_timeout(left, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes a batch back with what has to be sent again.
    fn done(&self, again: impl IntoIterator<Item = Batch>) {
        let mut left = locked(&self.left);
        left.queue.extend(again);
        left.in_flight -= 1;
        self.changed.notify_all();
    }
}

type Outcome = Result<Score, Ungraded>;

impl<W: Worker> Pool<W> {
    pub(crate) fn new(name: &str, limits: Limits, workers: Vec<W>) -> Self {
        let workers = workers.into_iter().map(Mutex::new).collect();
        Self { name: name.to_owned(), limits, workers, next_id: AtomicU64::new(0) }
    }

    /// The outcome of each answer, in order, after about the deadline at the latest.
    pub(crate) fn judge(&self, answers: &[Answer<'_>]) -> Vec<Outcome> {
        let deadline = Instant::now() + self.limits.deadline();
        let places: Vec<usize> = (0..answers.len()).collect();
        let batches = places.chunks(self.limits.raw().batch);
        let queue = batches.map(|places| Batch { places: places.to_vec(), attempts: 0 }).collect();
        let round = Round { left: Mutex::new(Left { queue, in_flight: 0 }), changed: Condvar::new(), deadline };
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; answers.len()]);
        std::thread::scope(|scope| {
            for worker in &self.workers {
                scope.spawn(|| self.work(&mut *locked(worker), answers, &round, &outcomes));
            }
        });
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(self.late()))).collect()
    }

    /// Takes batches until none is left or the deadline has passed.
    fn work(&self, worker: &mut W, answers: &[Answer<'_>], round: &Round, outcomes: &Mutex<Vec<Option<Outcome>>>) {
        let mut failures = 0;
        while let Some(batch) = round.next() {
            let first = self.next_id.fetch_add(batch.places.len() as u64, Ordering::Relaxed);
            let requests: Vec<Request<'_>> =
                batch.places.iter().zip(first..).map(|(&place, id)| Request::new(id, &answers[place])).collect();
            let (replies, fault) = worker.exchange(&requests, round.deadline);
            {
                let mut outcomes = locked(outcomes);
                for reply in replies {
                    let place = usize::try_from(reply.id - first).ok().and_then(|index| batch.places.get(index));
                    if let Some(&place) = place {
                        outcomes[place] = Some(reply.score(&self.name).map_err(|reason| self.ungraded(reason.into())));
                    }
                }
            }
            let Some(fault) = fault else {
                failures = 0;
                round.done(None);
                continue;
            };
            failures += 1;
            let again = self.again(batch, &fault, outcomes);
            if !again.is_empty() {
                // Before others can take them: the pause is the answers', not only this worker's.
                std::thread::sleep(time_left(self.limits.pause(failures), round.deadline));
            }
            round.done(again);
        }
    }

    /// What a failed batch leaves open, one by one, so that an answer that breaks the reward breaks no other; what was sent often
    /// enough is ungraded instead.
    fn again(&self, batch: Batch, fault: &Fault, outcomes: &Mutex<Vec<Option<Outcome>>>) -> Vec<Batch> {
        let again = fault.reason.is_temporary() && batch.attempts < self.limits.raw().retries;
        let mut outcomes = locked(outcomes);
        let open: Vec<usize> = batch.places.into_iter().filter(|&place| outcomes[place].is_none()).collect();
        if again {
            let single = |place| Batch { places: vec![place], attempts: batch.attempts + 1 };
            return open.into_iter().map(single).collect();
        }
        for place in open {
            outcomes[place] = Some(Err(self.ungraded(fault.clone())));
        }
        Vec::new()
    }

    fn ungraded(&self, Fault { reason, errors }: Fault) -> Ungraded {
        Ungraded { part: self.name.clone(), reason, errors }
    }

    fn late(&self) -> Ungraded {
        self.ungraded(Reason::Deadline { seconds: self.limits.raw().deadline }.into())
    }
}

/// A lock whose holder may have panicked: what it guards is written whole.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time until the earlier of a timeout from now and a deadline.
pub(crate) fn time_left(timeout: Duration, deadline: Instant) -> Duration {
    timeout.min(deadline.saturating_duration_since(Instant::now()))
}

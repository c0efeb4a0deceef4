//! The order in which a run visits its problems.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Visits every problem once per epoch, each epoch in a new random order, without end.
///
/// The order of an epoch depends on nothing but the seed, the number of problems and the epoch's number: it is shuffled by the
/// ChaCha8 generator with that seed on the stream of that number. Four numbers are therefore the whole state, and a sampler that
/// was written to a checkpoint and read back goes on where it stood.
///
/// It keeps no order in memory and shuffles anew for every batch, which is a millisecond for some ten thousand problems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "State", into = "State")]
pub struct Sampler {
    state: State,
}

/// Where a sampler stands, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    seed: u64,
    len: usize,
    epoch: u64,
    /// Problems already taken in this epoch, below `len`.
    position: usize,
}

impl Sampler {
    /// A sampler at the start of epoch 0 over `problems` problems.
    ///
    /// # Errors
    /// [`DatasetError::Position`] if there are no problems.
    pub fn new(seed: u64, problems: usize) -> Result<Self, DatasetError> {
        State { seed, len: problems, epoch: 0, position: 0 }.try_into()
    }

    /// The indices of the next `count` problems, each below [`Self::problems`]. A batch may run over the end of an epoch, and then
    /// it may hold a problem twice.
    pub fn next_batch(&mut self, count: usize) -> Vec<usize> {
        let mut batch = Vec::with_capacity(count);
        while batch.len() < count {
            let State { len, position, .. } = self.state;
            let taken = (count - batch.len()).min(len - position);
            batch.extend_from_slice(&self.order()[position..position + taken]);
            self.state.position += taken;
            if self.state.position == len {
                self.state.epoch += 1;
                self.state.position = 0;
            }
        }
        batch
    }

    /// The number of problems it samples from; compare it with the data set's before resuming.
    pub fn problems(&self) -> usize {
        self.state.len
    }

    /// The number of epochs that are complete.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// The number of problems already taken in the present epoch, below [`Self::problems`].
    pub fn position(&self) -> usize {
        self.state.position
    }

    /// The order of the present epoch.
    fn order(&self) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.state.seed);
        rng.set_stream(self.state.epoch);
        let mut order: Vec<usize> = (0..self.state.len).collect();
        order.shuffle(&mut rng);
        order
    }
}

impl TryFrom<State> for Sampler {
    type Error = DatasetError;

    fn try_from(state: State) -> Result<Self, DatasetError> {
        if state.position >= state.len {
            return Err(DatasetError::Position { problems: state.len, position: state.position });
        }
        Ok(Self { state })
    }
}

impl From<Sampler> for State {
    fn from(sampler: Sampler) -> Self {
        sampler.state
    }
}

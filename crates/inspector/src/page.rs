//! What a page shows.

mod block;
mod document;
mod index;
mod summary;
mod write;

use serde_json::{Map, Value};

use crate::record::{RolloutRecord, TokenRecord};

/// Everything that is on a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The page's title, such as the run's folder.
    pub title: String,
    /// The run's resolved configuration, TOML.
    pub configuration: String,
    /// Lines of `metrics.jsonl`, those of steps and of validations; where a step was taken twice, the later one.
    pub metrics: Vec<Map<String, Value>>,
    /// Responses, in the order of the run.
    pub rollouts: Vec<Rollout>,
    /// Images of the groups, and what the contrasts showed in their place.
    pub pictures: Vec<GroupPictures>,
}

/// A response, and its tokens as other recipes or checkpoints see them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// What the run recorded.
    pub record: RolloutRecord,
    /// The same tokens scored again.
    pub compared: Vec<Comparison>,
}

/// The tokens of a response scored by another recipe or checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What scored them, such as `pgpo` or `step-20`.
    pub name: String,
    /// Their values.
    pub tokens: TokenRecord,
}

/// The images of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPictures {
    /// The group's step.
    pub step: usize,
    /// The group's number in the step.
    pub group: usize,
    /// The problem's images first, then each contrast's.
    pub pictures: Vec<Picture>,
}

/// An image with a name for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Such as `image` or `patch-blackout`.
    pub name: String,
    /// Such as `image/png`.
    pub media_type: String,
    /// The encoded file.
    pub bytes: Vec<u8>,
}

//! What can be wrong with a batch or with a setting.

/// Why credit could not be assigned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// A setting lies outside its range.
    #[error("a setting is {value} but must lie in {range}")]
    OutOfRange {
        /// The refused number.
        value: f64,
        /// The numbers that are allowed.
        range: &'static str,
    },
    /// Statistics over no responses, or no token columns, have no value.
    #[error("the response mask is {responses} x {tokens}; skip the update when nothing was sampled")]
    EmptyBatch {
        /// Rows of the mask.
        responses: usize,
        /// Columns of the mask.
        tokens: usize,
    },
    /// A group has no response.
    #[error("group {group} has no responses; leave it out")]
    EmptyGroup {
        /// Index of the group.
        group: usize,
    },
    /// A group of one cannot be compared with itself, and the estimator was told to refuse it.
    #[error("group {group} has one response; sample more, or set `group_of_one` to \"zero\"")]
    GroupOfOne {
        /// Index of the group.
        group: usize,
    },
    /// A part of the evidence, or what a component returned, does not fit the response mask.
    #[error("{what} has shape {found:?} but the batch needs {expected:?}")]
    Shape {
        /// What does not fit.
        what: &'static str,
        /// Its shape; a list of groups has its total as the only axis.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// Parts of the evidence live on different devices.
    #[error("{what} is on {found} but the response mask is on {expected}; move it there")]
    Device {
        /// What is elsewhere.
        what: &'static str,
        /// Where it is.
        found: String,
        /// Where the response mask is.
        expected: String,
    },
    /// A shaper reads the dependency, but none was measured.
    #[error("the {shaper} shaper needs the dependency; add a dependency metric to the recipe")]
    MissingDependency {
        /// The shaper, by its `kind`.
        shaper: &'static str,
    },
    /// A shaper reads the entropy, but none was measured.
    #[error("the {shaper} shaper needs the entropy of the tokens' distributions; add it to the evidence")]
    MissingEntropy {
        /// The shaper, by its `kind`.
        shaper: &'static str,
    },
}

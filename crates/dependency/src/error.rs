//! What can be wrong with a setting or with measured divergences.

/// Why the dependency could not be set up or scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// A setting lies outside its range.
    #[error("a setting is {value} but must lie in {range}")]
    OutOfRange {
        /// The refused number.
        value: f64,
        /// The numbers that are allowed.
        range: &'static str,
    },
    /// A metric needs one divergence per contrast, in order.
    #[error("{found} divergences were measured but the metric has {expected} contrasts; measure one for each")]
    DivergenceCount {
        /// How many were given.
        found: usize,
        /// How many contrasts the metric has.
        expected: usize,
    },
    /// A metric has nothing to compare.
    #[error("the {list} of {metric} are empty (0 contrasts); list at least 1")]
    NoContrasts {
        /// Which metric.
        metric: &'static str,
        /// Which of its lists.
        list: &'static str,
    },
    /// A divergence does not fit the response mask.
    #[error("the divergence of contrast \"{contrast}\" has shape {found:?} but the response mask has {expected:?}")]
    Shape {
        /// Name of the contrast.
        contrast: String,
        /// Shape of its divergence.
        found: [usize; 2],
        /// Shape of the response mask.
        expected: [usize; 2],
    },
}

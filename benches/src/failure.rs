//! Why a measurement was not taken.

/// Any error; the program prints it and ends.
pub(crate) type Failure = Box<dyn std::error::Error>;

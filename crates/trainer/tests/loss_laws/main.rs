//! The objective: recorded values of an independent implementation, and laws over random batches.

mod golden;
mod host;
mod laws;
mod table;

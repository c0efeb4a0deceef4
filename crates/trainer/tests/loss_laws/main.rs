//! The objective: recorded values of independent implementations, and laws over random batches.

mod draws;
mod edges;
mod golden;
mod host;
mod laws;
mod oracle;
mod table;

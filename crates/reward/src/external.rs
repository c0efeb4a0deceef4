//! Rewards outside of this program: what crosses, who is asked, how often and for how long.

mod http;
mod limits;
mod pool;
mod process;
mod protocol;
mod subprocess;

pub(crate) use http::Connection;
pub use http::Http;
pub use limits::{Limits, RawLimits};
pub(crate) use pool::Pool;
pub(crate) use subprocess::Program;
pub use subprocess::Subprocess;

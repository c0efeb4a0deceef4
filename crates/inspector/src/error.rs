//! What can be wrong with a run's records, a page or its server.

use std::io;
use std::path::PathBuf;

/// Why records could not be read, or a page could not be written or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectorError {
    /// A file or folder that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is not a record.
    #[error("{}:{line}: {reason}; remove the line to go on without it", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A response whose tokens do not have one value each.
    #[error("step {step}, group {group}, response {response}: {reason}")]
    Tokens {
        /// The response's step.
        step: usize,
        /// Its group.
        group: usize,
        /// Its place in the group.
        response: usize,
        /// The list that is too short or too long.
        reason: String,
    },
    /// A picture that is not an image.
    #[error(
        "the picture `{name}` of step {step}, group {group} is of the type `{media_type}`; give image/png or another"
    )]
    MediaType {
        /// The picture's step.
        step: usize,
        /// Its group.
        group: usize,
        /// Its name.
        name: String,
        /// The refused type.
        media_type: String,
    },
    /// A page that cannot be put into words.
    #[error("cannot encode the page: {0}")]
    Encode(#[from] serde_json::Error),
    /// A page that cannot be written.
    #[error("cannot write the page: {0}")]
    Write(#[from] io::Error),
    /// An address that cannot be listened on.
    #[error("cannot listen on 127.0.0.1:{port}: {reason}; choose another port, or 0 for any that is free")]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why.
        reason: String,
    },
}

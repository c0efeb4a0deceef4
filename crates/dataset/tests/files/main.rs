//! Data sets in files: what was written comes back from every format, and what is wrong is named.

mod conversations;
mod images;
mod laws;
mod limits;
mod malformed;
mod paths;
mod published;
mod selection;
mod tables;

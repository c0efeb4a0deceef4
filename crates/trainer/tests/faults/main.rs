//! What can go wrong in a run of days, done to runs of a second: whatever happens, nothing is lost but the steps since the last
//! checkpoint, and those are made again to the last bit. `docs/durability.md` has the table.

#![cfg(unix)]

mod damage;
mod disks;
mod kills;
mod models;
mod policies;
mod program;
mod rewards;
mod rows;
mod signals;
mod workspace;

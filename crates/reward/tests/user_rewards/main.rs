//! Rewards outside of this program, well-behaved and not: whatever they do, every answer has an outcome in bounded time.

#![cfg(unix)]

mod programs;
mod round;
mod servers;

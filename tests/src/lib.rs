//! System tests of the whole workspace: the README's code compiles and runs, and the shipped configurations are valid.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

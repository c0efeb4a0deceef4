//! Benchmarks, side by side with the peers: the program `side-by-side` and the criterion benchmarks in `benches/`.

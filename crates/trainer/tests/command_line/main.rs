//! The program as people and scripts run it: files and standard input in, JSON out, exit status and messages on mistakes.

mod config;
mod config_import;
mod credit;
mod credit_golden;
mod data;
mod doctor;
mod download;
mod dry_run;
mod eval;
mod generate;
mod hub;
mod inspect;
mod program;
mod recipe;
mod reward;
mod score;
mod train;
mod watch;

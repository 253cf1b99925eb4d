//! The real cluster as plain processes, and what runs on it: scenarios, the demo, benchmarks.
//!
//! * [`install`] puts every program that is needed on the machine (Debian packages, Go programs at pinned versions).
//! * [`cluster`] starts, inspects and ends the cluster; its state lives under one folder.
//! * [`product`] builds Sluice as it is shipped and installs it with its charts.
//! * [`scenarios`] are what must hold on the cluster; [`demo`] is the story for a person; [`bench`] measures.
//! * [`progress`], [`command`] and [`wait`] are the small tools that both share: what a person sees while waiting,
//!   child processes with a time limit, and polling with a deadline.
//!
//! Nothing here is part of the product. Everything that is started binds to loopback or to the cluster's own bridge.

pub mod bench;
pub mod cluster;
pub mod command;
pub mod demo;
pub mod install;
pub mod product;
pub mod progress;
pub mod scenarios;
pub mod wait;

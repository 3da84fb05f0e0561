//! Shared by the programs in this folder: the load, the meters, the measured servers.

#[allow(unsafe_code)]
pub mod meter;
#[allow(unsafe_code)]
pub mod pool;
#[allow(unsafe_code)]
pub mod step;
#[allow(unsafe_code)]
pub mod sys;

pub mod budget;
pub mod compare;
pub mod frames;
pub mod load;
pub mod machine;
pub mod report;
pub mod results;
pub mod wire;

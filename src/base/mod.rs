//! Small types that every part shares: connection ids, chunks of bytes, buffer pools, vectors that
//! wait to be freed, time, counted work and memory, token buckets, progress of sends, durations
//! by ranges, tables by slot number, hash maps that grow in small steps, and files that are read at
//! once. Nothing here depends on a protocol, a socket, a clock or a thread.

pub(crate) mod blocks;
pub mod bucket;
pub mod chunk;
pub mod discarded;
pub mod file;
pub mod histogram;
pub mod id;
pub mod ledger;
pub mod pace;
pub mod pool;
pub mod progress;
pub(crate) mod sharded;
pub mod shared;
pub mod time;
pub(crate) mod wheel;
pub mod work;

pub use chunk::Chunk;
pub use discarded::Discarded;
pub use histogram::Histogram;
pub use id::ConnectionId;
pub use ledger::Ledger;
pub use pace::Pace;
pub use pool::BufferPool;
pub use progress::SendProgress;
pub use shared::Shared;
pub use time::Millis;
pub use work::Work;

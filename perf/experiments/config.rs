//! The variants of the experiments.

use crate::pool::Shape;

/// How a reply is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    /// WAITALL; every send posts a completion and pins its memory until then.
    Completion,
    /// DONTWAIT and WAITALL with SKIP_SUCCESS: a completion only when bytes are left over.
    SkipSuccess,
}

/// The memory of received bytes.
#[derive(Clone, Copy)]
pub(crate) enum Receives {
    /// Multishot receive from a pool of provided buffers.
    Multishot(Shape),
    /// One receive at a time into one of the connection's own two buffers of this size.
    OneShot { size: usize, poll_first: bool },
}

/// The content of a reply and the assembly of its parts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The request, unmasked in place.
    Echo,
    /// A header and 2 or 3 scattered payload pieces, joined in this way.
    Pieces(Join),
}

/// The ways to send scattered pieces as one message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// SEND with IORING_SEND_VECTORIZED (kernel 6.17).
    Vectorized,
    /// SENDMSG.
    Message,
    /// Copy into one buffer, then SEND.
    Copy,
}

/// One variant of an experiment.
#[derive(Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) sends: Sends,
    pub(crate) receives: Receives,
    pub(crate) reply: Reply,
    /// Enter through a registered ring descriptor.
    pub(crate) registered_ring: bool,
    /// Direct descriptors instead of plain ones.
    pub(crate) direct: bool,
}

/// 256 buffers of 4 KiB, the default pool.
pub(crate) const SMALL_POOL: Shape = Shape { count: 256, size: 4096, incremental: false };

/// The design under test in its default form; experiments change one field each.
pub(crate) const BASE: Variant = Variant {
    name: "",
    sends: Sends::SkipSuccess,
    receives: Receives::Multishot(SMALL_POOL),
    reply: Reply::Echo,
    registered_ring: true,
    direct: true,
};

/// The load of one table.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) connections: usize,
    /// Payload bytes of each request.
    pub(crate) request: usize,
    /// Payload bytes of each reply.
    pub(crate) reply: usize,
    /// Requests in flight per connection.
    pub(crate) depth: usize,
}

/// One experiment: every variant under every workload.
pub(crate) struct Experiment {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) variants: Vec<Variant>,
}

fn echo(connections: usize, size: usize, depth: usize) -> Workload {
    Workload { connections, request: size, reply: size, depth }
}

/// All experiments, in the order in which they run.
pub(crate) fn experiments() -> Vec<Experiment> {
    let small = || vec![echo(100, 20, 1), echo(100, 20, 16)];
    let mut with_large = small();
    with_large.push(echo(16, 16_384, 1));
    let answers = |reply| Workload { connections: 100, request: 20, reply, depth: 1 };
    vec![
        Experiment {
            id: "E1",
            title: "a completion per send against completions for failures only",
            workloads: small(),
            variants: vec![
                Variant { name: "SEND + CQE", sends: Sends::Completion, ..BASE },
                Variant { name: "DONTWAIT+WAITALL, CQE_SKIP", ..BASE },
            ],
        },
        Experiment {
            id: "E2",
            title: "shape of the provided-buffer pool",
            workloads: with_large,
            variants: vec![
                pool("4096 x 16 KiB", 4096, 16_384, false),
                pool("256 x 4 KiB", 256, 4096, false),
                pool("128 x 16,448 B", 128, 16_448, false),
                pool("INC 8 x 64 KiB", 8, 65_536, true),
            ],
        },
        Experiment {
            id: "E3",
            title: "registered ring descriptor and direct descriptors",
            workloads: small(),
            variants: vec![
                Variant { name: "registered ring, direct fds", ..BASE },
                Variant { name: "ring fd, direct fds", registered_ring: false, ..BASE },
                Variant { name: "registered ring, plain fds", direct: false, ..BASE },
                Variant {
                    name: "ring fd, plain fds",
                    registered_ring: false,
                    direct: false,
                    ..BASE
                },
            ],
        },
        Experiment {
            id: "E4",
            title: "multishot against one-shot receive",
            workloads: small(),
            variants: vec![
                Variant { name: "multishot, shared pool", ..BASE },
                one_shot("one-shot, own buffer", false),
                one_shot("one-shot, own buffer, POLL_FIRST", true),
            ],
        },
        Experiment {
            id: "E9",
            title: "a reply of a header and 2 or 3 payload pieces",
            workloads: vec![answers(125), answers(1024), answers(16_384)],
            variants: vec![
                joined("SEND_VECTORIZED", Join::Vectorized),
                joined("SENDMSG", Join::Message),
                joined("memcpy + SEND", Join::Copy),
            ],
        },
    ]
}

fn pool(name: &'static str, count: u16, size: usize, incremental: bool) -> Variant {
    Variant { name, receives: Receives::Multishot(Shape { count, size, incremental }), ..BASE }
}

fn one_shot(name: &'static str, poll_first: bool) -> Variant {
    Variant { name, receives: Receives::OneShot { size: 4096, poll_first }, ..BASE }
}

fn joined(name: &'static str, join: Join) -> Variant {
    Variant { name, reply: Reply::Pieces(join), ..BASE }
}

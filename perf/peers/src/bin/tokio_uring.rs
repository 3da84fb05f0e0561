//! An echo on the TCP stream of tokio-uring, with the protocol core of corecast: corecast with
//! another loop.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::app::echo::Echo;
use corecast::app::inbox;
use corecast::base::{ConnectionId, Millis};
use corecast::config::Config;
use corecast::gateway::Gateway;
use corecast::mesh::{Limits, mesh};
use corecast::protocol::websocket::handshake::Origins;
use corecast::pubsub::Totals;
use corecast::session::{Output, Phase, Pools, Session};
use tokio_uring::buf::{BoundedBuf, IoBuf};
use tokio_uring::net::{TcpListener, TcpStream};

use corecast_peers::start;

/// The accept queue in connections.
const ACCEPTS: usize = 16;
const ENTRIES: u32 = 4096;
const COMPLETIONS: u32 = 1 << 16;
/// Each connection has a receive buffer of the size of corecast's.
const BUFFER: usize = 257 * 64;

/// The state shared by all connections.
struct Core {
    pools: RefCell<Pools>,
    service: RefCell<Gateway<Echo>>,
    started: Instant,
}

impl Core {
    fn now(&self) -> Millis {
        Millis::from(self.started.elapsed())
    }

    /// The output after `bytes` were received. Earlier output is in the kernel by then, so replies
    /// never queue up. An echo does not defer input.
    fn receive(&self, session: &mut Session, bytes: &mut [u8]) -> Output {
        let mut output = Output::default();
        let (mut pools, mut service) = (self.pools.borrow_mut(), self.service.borrow_mut());
        let _ = session.receive(self.now(), bytes, 0, &mut pools, &mut *service, &mut output);
        output
    }
}

fn main() -> io::Result<()> {
    let Some(listener) = start("tokio-uring", env!("TOKIO_URING_VERSION"))? else { return Ok(()) };
    let mut config = Config::default();
    config.origins = Origins::Any;
    config.deflate.enabled = true;
    config.pubsub.endpoints = false;
    let (totals, config) = (Totals::new(&config.pubsub), Arc::new(config));
    let port = mesh(1, Limits::default()).remove(0);
    let (_, inbox) = inbox(&config, port.sleep_flag(), Arc::new(|| {}));
    let service = Gateway::new(Echo, Arc::clone(&config), port, inbox, totals);
    let (pools, service) = (RefCell::new(Pools::new(config)), RefCell::new(service));
    let core = Rc::new(Core { pools, service, started: Instant::now() });
    let mut ring = tokio_uring::uring_builder();
    ring.setup_cqsize(COMPLETIONS).setup_single_issuer().setup_coop_taskrun();
    tokio_uring::builder().entries(ENTRIES).uring_builder(&ring).start(async move {
        let listener = Rc::new(TcpListener::from_std(listener));
        let accept = || accept(Rc::clone(&listener), Rc::clone(&core));
        for _ in 1..ACCEPTS {
            drop(tokio_uring::spawn(accept()));
        }
        accept().await;
        Ok(())
    })
}

async fn accept(listener: Rc<TcpListener>, core: Rc<Core>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio_uring::spawn(serve(stream, Rc::clone(&core)))),
            Err(error) => {
                eprintln!("cannot accept: {error}; trying again");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, core: Rc<Core>) {
    // The id is not used for look-ups.
    let id = ConnectionId { slot: 0, generation: 0 };
    let config = Arc::clone(&core.pools.borrow().config);
    let mut session = Session::new(id, core.now(), &config, false);
    // An error that ends a connection is not reported.
    let _ = talk(&stream, &mut session, &core).await;
    session.finish(&mut core.pools.borrow_mut(), &mut *core.service.borrow_mut());
}

/// Runs until the peer has closed, or there is nothing left to send.
async fn talk(stream: &TcpStream, session: &mut Session, core: &Core) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut half_closed = false;
    while session.phase() != Phase::Finished {
        let (read, filled) = stream.read(buffer).await;
        buffer = filled;
        let len = read?;
        if len == 0 {
            return Ok(());
        }
        let output = core.receive(session, buffer.get_mut(..len).unwrap_or_default());
        if let Some(range) = output.in_place() {
            buffer = write(stream, buffer.slice(range)).await?;
        } else {
            let (mut bytes, from) = output.into_owned();
            if from < bytes.len() {
                bytes = write(stream, bytes.slice(from..)).await?;
            }
            core.pools.borrow_mut().buffers.give(bytes);
        }
        if session.phase() == Phase::Lingering && !half_closed {
            half_closed = true;
            stream.shutdown(Shutdown::Write)?;
        }
    }
    Ok(())
}

async fn write<B: IoBuf>(stream: &TcpStream, bytes: tokio_uring::buf::Slice<B>) -> io::Result<B> {
    let (written, bytes) = stream.write_all(bytes).await;
    written.map(|()| bytes.into_inner())
}

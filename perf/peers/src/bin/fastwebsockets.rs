//! fastwebsockets as an echo and fan-out server.

use std::io;

use bytes::Bytes;
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, Role, WebSocket,
    WebSocketError, WebSocketWrite, after_handshake_split,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::UnboundedReceiver;

use corecast_peers::gather::Gather;
use corecast_peers::topics::{Place, Topics};
use corecast_peers::{MAX_MESSAGE, handshake, serve};

/// The number of deliveries that are sent with one flush.
const MAX: usize = 256;

/// A frame to send; the bytes are shared by all recipients.
type Delivery = (OpCode, Bytes);

static TOPICS: Topics<Delivery> = Topics::new();

fn main() -> io::Result<()> {
    serve("fastwebsockets", env!("FASTWEBSOCKETS_VERSION"), connection)
}

async fn connection(mut stream: TcpStream) {
    let Ok(target) = handshake::accept(&mut stream).await else { return };
    let work = async {
        match Place::of(&target) {
            Place::Echo => echo(stream).await,
            Place::Topic { name, subscribes: false } => publish(stream, name).await,
            Place::Topic { name, subscribes: true } => subscribe(stream, name).await,
        }
    };
    // Unconstrained as in its own examples. An error that ends a connection is not reported.
    let _ = tokio::task::unconstrained(work).await;
}

/// The stream collects writes until nothing more can be read, because the library writes each frame
/// at once.
fn open(stream: TcpStream) -> FragmentCollector<Gather<TcpStream>> {
    let mut ws = WebSocket::after_handshake(Gather::new(stream), Role::Server);
    // It refuses messages of this length or longer.
    ws.set_max_message_size(MAX_MESSAGE + 1);
    ws.set_writev(true);
    FragmentCollector::new(ws)
}

async fn echo(stream: TcpStream) -> Result<(), WebSocketError> {
    let mut ws = open(stream);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            OpCode::Close => return Ok(ws.into_inner().flush().await?),
            _ => {}
        }
    }
}

async fn publish(stream: TcpStream, name: &str) -> Result<(), WebSocketError> {
    let seat = TOPICS.join(name);
    let mut ws = open(stream);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => seat.publish(&delivery(frame)),
            OpCode::Close => return Ok(ws.into_inner().flush().await?),
            _ => {}
        }
    }
}

/// A separate task writes, because a read of this library must not be cancelled halfway.
async fn subscribe(stream: TcpStream, name: &str) -> Result<(), WebSocketError> {
    let (seat, own, inbox) = TOPICS.subscribe(name);
    let (read, write) = stream.into_split();
    let (mut read, mut write) = after_handshake_split(read, Gather::new(write), Role::Server);
    read.set_max_message_size(MAX_MESSAGE + 1);
    write.set_writev(true);
    drop(tokio::spawn(tokio::task::unconstrained(deliver(write, inbox))));
    let mut read = FragmentCollectorRead::new(read);
    // Pongs and the close frame use the same channel as deliveries.
    let mut control = |frame: Frame<'static>| {
        let sent = own.send(delivery(frame)).map_err(|_| WebSocketError::ConnectionClosed);
        std::future::ready(sent)
    };
    loop {
        let frame = read.read_frame(&mut control).await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => seat.publish(&delivery(frame)),
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

/// Ends when no sender for this connection is left.
async fn deliver(
    mut ws: WebSocketWrite<Gather<OwnedWriteHalf>>,
    mut inbox: UnboundedReceiver<Delivery>,
) -> Result<(), WebSocketError> {
    let mut batch = Vec::new();
    while inbox.recv_many(&mut batch, MAX).await > 0 {
        for (opcode, bytes) in batch.drain(..) {
            send(&mut ws, opcode, &bytes).await?;
        }
        ws.flush().await?;
    }
    Ok(())
}

async fn send(
    ws: &mut WebSocketWrite<Gather<OwnedWriteHalf>>,
    opcode: OpCode,
    bytes: &[u8],
) -> Result<(), WebSocketError> {
    ws.write_frame(Frame::new(true, opcode, None, Payload::Borrowed(bytes))).await
}

fn delivery(frame: Frame<'_>) -> Delivery {
    let bytes = match frame.payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        other => Vec::from(other).into(),
    };
    (frame.opcode, bytes)
}

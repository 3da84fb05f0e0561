//! sockudo-ws as an echo and fan-out server, with its own publish and subscribe.

use std::io;
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{CompressedWebSocketStream, Config, Error, Message, Role, WebSocketStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;

use corecast_peers::topics::Place;
use corecast_peers::{MAX_MESSAGE, drive, serve_with_tls};

/// The compression level: fast, as in corecast by default.
const LEVEL: u32 = 1;
/// The limit in bytes for replies that are written together.
const MAX_QUEUED: usize = 1 << 20;

static PUBSUB: LazyLock<PubSub> = LazyLock::new(PubSub::new);

fn main() -> io::Result<()> {
    // Its clock calibrates itself once; its authors advise to do that before the runtime starts.
    sockudo_ws::init_clock();
    serve_with_tls("sockudo-ws", env!("SOCKUDO_WS_VERSION"), connection, connection)
}

/// An accepted handshake.
struct Opened {
    target: String,
    deflate: Option<DeflateConfig>,
    /// Input received after the request.
    early: Option<Bytes>,
}

async fn connection(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(Some(opened)) = accept(&mut stream).await else { return };
    // No other server in the comparison has a timer for each connection.
    let config = Config::builder()
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .max_backpressure(MAX_QUEUED)
        .write_coalescing(true)
        .idle_timeout(0)
        .auto_ping(false)
        .ping_interval(0)
        .build();
    // An error that ends a connection is not reported.
    let _ = match opened.deflate {
        Some(deflate) => {
            let early = opened.early;
            let ws =
                CompressedWebSocketStream::server_with_leftover(stream, config, deflate, early);
            talk(ws, &opened.target).await
        }
        None => {
            let (role, early) = (Role::Server, opened.early);
            let ws = WebSocketStream::from_raw_with_leftover(stream, role, config, early);
            talk(ws, &opened.target).await
        }
    };
}

/// Answers the request; `None` if the peer disconnected or the request is invalid.
async fn accept(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Option<Opened>> {
    let mut head = BytesMut::with_capacity(4096);
    let deflate = DeflateConfig { compression_level: LEVEL, ..DeflateConfig::default() };
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
        let Ok(parsed) = parse_request(&head) else { return Ok(None) };
        let Some((request, len)) = parsed else { continue };
        let agreed =
            request.extensions.and_then(|offers| negotiate_server_deflate(offers, &deflate));
        let extensions = agreed.as_ref().map(|agreed| agreed.to_response_header());
        let key = generate_accept_key(request.key);
        let answer = build_response(&key, None, extensions.as_deref());
        let target = request.path.into_owned();
        stream.write_all(&answer).await?;
        // A stream of TLS may hold it back otherwise.
        stream.flush().await?;
        let early = Some(head.split_off(len).freeze()).filter(|early| !early.is_empty());
        return Ok(Some(Opened { target, deflate: agreed.map(|agreed| agreed.config), early }));
    }
}

async fn talk<W>(ws: W, target: &str) -> Result<(), Error>
where
    W: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    match Place::of(target) {
        Place::Echo => drive::echo(ws, data).await,
        Place::Topic { name, subscribes: false } => {
            drive::echo(ws, |message| {
                if let Some((message, _)) = data(message) {
                    PUBSUB.publish(name, message);
                }
                None
            })
            .await
        }
        Place::Topic { name, subscribes: true } => {
            let (sender, inbox) = unbounded_channel();
            let id = PUBSUB.create_subscriber(sender);
            PUBSUB.subscribe(id, name);
            let end = drive::deliver(ws, inbox, |message| {
                if let Some((message, _)) = data(message) {
                    PUBSUB.publish_excluding(id, name, message);
                }
            })
            .await;
            PUBSUB.remove_subscriber(id);
            end
        }
    }
}

fn data(message: Message) -> Option<(Message, usize)> {
    let len = message.as_bytes().len();
    (message.is_text() || message.is_binary()).then_some((message, len))
}

//! tokio-websockets as an echo and fan-out server.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_websockets::{Config, Limits, Message, ServerBuilder};

use corecast_peers::topics::Topics;
use corecast_peers::{MAX_MESSAGE, drive, serve_with_tls};

/// More than is collected at a time, so that it is sent with one vectored write.
const FLUSH_THRESHOLD: usize = 512 << 10;

static TOPICS: Topics<Message> = Topics::new();

fn main() -> io::Result<()> {
    let version = env!("TOKIO_WEBSOCKETS_VERSION");
    serve_with_tls("tokio-websockets", version, connection, connection)
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let builder = ServerBuilder::new()
        .config(Config::default().flush_threshold(FLUSH_THRESHOLD).frame_size(MAX_MESSAGE))
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)));
    let Ok((request, ws)) = builder.accept(stream).await else { return };
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    // An error that ends a connection is not reported.
    let _ = drive::serve(ws, target, &TOPICS, data).await;
}

fn data(message: Message) -> Option<(Message, usize)> {
    let len = message.as_payload().len();
    (message.is_text() || message.is_binary()).then_some((message, len))
}

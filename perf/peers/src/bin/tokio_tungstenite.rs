//! tokio-tungstenite as an echo and fan-out server.

use std::io;

use tokio::net::TcpStream;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use corecast_peers::topics::Topics;
use corecast_peers::{MAX_MESSAGE, drive, serve};

static TOPICS: Topics<Message> = Topics::new();

fn main() -> io::Result<()> {
    serve("tokio-tungstenite", env!("TOKIO_TUNGSTENITE_VERSION"), connection)
}

async fn connection(stream: TcpStream) {
    // Its buffers of 128 KiB for reading and for writing are the sizes advised for much load.
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut target = String::new();
    #[allow(clippy::result_large_err, reason = "the type that the library asks for")]
    let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(response)
    };
    let Ok(ws) = accept_hdr_async_with_config(stream, note, Some(config)).await else { return };
    // An error that ends a connection is not reported.
    let _ = drive::serve(ws, &target, &TOPICS, data).await;
}

fn data(message: Message) -> Option<(Message, usize)> {
    let len = message.len();
    (message.is_text() || message.is_binary()).then_some((message, len))
}

//! Drives a library's WebSocket that is a `Stream` and a `Sink` of messages: as many reads as there
//! are messages, then all replies with one flush.
//!
//! Written as poll functions so that a connection with nothing to read is polled once and not
//! twice: an `async` loop that looks for more messages before it flushes would have to ask again
//! when it waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::topics::{Place, Topics};

/// Replies that are gathered before they are sent, and their bytes.
const MOST: usize = 256;
const MOST_BYTES: usize = 256 << 10;

/// Serves a connection to `target`. `data` keeps what is a message, with its length: control
/// frames are answered by the library.
pub async fn serve<W, M, E>(
    ws: W,
    target: &str,
    topics: &Topics<M>,
    data: fn(M) -> Option<(M, usize)>,
) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    M: Clone + Unpin,
{
    match Place::of(target) {
        Place::Echo => echo(ws, data).await,
        Place::Topic { name, subscribes: false } => {
            let seat = topics.join(name);
            echo(ws, |message| {
                if let Some((message, _)) = data(message) {
                    seat.publish(&message);
                }
                None
            })
            .await
        }
        Place::Topic { name, subscribes: true } => {
            let (seat, _, inbox) = topics.subscribe(name);
            deliver(ws, inbox, |message| {
                if let Some((message, _)) = data(message) {
                    seat.publish(&message);
                }
            })
            .await
        }
    }
}

/// Sends back what `answer` makes of each message, and its length, until the connection ends.
pub async fn echo<W, M, E>(
    mut ws: W,
    mut answer: impl FnMut(M) -> Option<(M, usize)>,
) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let (mut replies, mut bytes) = (VecDeque::new(), 0);
    let (mut unflushed, mut failed) = (false, false);
    poll_fn(|cx| {
        loop {
            let mut starved = false;
            while !starved && replies.len() < MOST && bytes < MOST_BYTES {
                match ws.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        if let Some((reply, len)) = answer(message) {
                            bytes += len;
                            replies.push_back(reply);
                        }
                    }
                    // Polled on, a library sends the close frame that it owes the peer.
                    Poll::Ready(Some(Err(_))) if !failed => failed = true,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => starved = true,
                }
            }
            while !replies.is_empty() {
                ready!(ws.poll_ready_unpin(cx))?;
                if let Some(reply) = replies.pop_front() {
                    ws.start_send_unpin(reply)?;
                    unflushed = true;
                }
            }
            if unflushed {
                ready!(ws.poll_flush_unpin(cx))?;
                unflushed = false;
            }
            bytes = 0;
            if starved {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Sends what comes through the inbox, all that is there with one flush, and hands what the peer
/// sends to `received`.
pub async fn deliver<W, M, E>(
    mut ws: W,
    mut inbox: UnboundedReceiver<M>,
    mut received: impl FnMut(M),
) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    // The last comes first, so that popping is all it takes.
    let mut batch = Vec::new();
    let (mut unflushed, mut failed) = (false, false);
    poll_fn(|cx| {
        loop {
            match ws.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => received(message),
                Poll::Ready(Some(Err(_))) if !failed => failed = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        loop {
            while !batch.is_empty() {
                ready!(ws.poll_ready_unpin(cx))?;
                if let Some(message) = batch.pop() {
                    ws.start_send_unpin(message)?;
                    unflushed = true;
                }
            }
            if !take(&mut inbox, &mut batch, cx) {
                break;
            }
        }
        if unflushed {
            ready!(ws.poll_flush_unpin(cx))?;
            unflushed = false;
        }
        Poll::Pending
    })
    .await
}

/// Takes what the inbox holds; `false` if that is nothing.
fn take<M>(inbox: &mut UnboundedReceiver<M>, batch: &mut Vec<M>, cx: &mut Context<'_>) -> bool {
    // An inbox whose topic is gone stays empty; the connection itself ends the loop.
    let taken = matches!(inbox.poll_recv_many(cx, batch, MOST), Poll::Ready(1..));
    batch.reverse();
    taken
}

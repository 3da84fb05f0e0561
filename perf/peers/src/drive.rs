//! Drives a library's WebSocket that is a `Stream` and a `Sink` of messages: as many reads as there
//! are messages, then all replies with one flush.
//!
//! Written as poll functions so that a connection without input is polled once and not twice: an
//! `async` loop that looks for more messages before it flushes would have to poll again before it
//! waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::topics::{Place, Topics};

/// The limits for replies that are collected before they are sent: their number and bytes.
const MAX: usize = 256;
const MAX_BYTES: usize = 256 << 10;

/// Serves a connection to `target`. `data` selects data messages and returns their length: control
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

/// Sends the result of `answer` for each message, and its length, until the connection ends.
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
            while !starved && replies.len() < MAX && bytes < MAX_BYTES {
                match ws.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        if let Some((reply, len)) = answer(message) {
                            bytes += len;
                            replies.push_back(reply);
                        }
                    }
                    // If it is polled on, the library sends the pending close frame.
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

/// Sends all messages of the inbox with one flush, and passes the peer's messages to `received`.
pub async fn deliver<W, M, E>(
    mut ws: W,
    mut inbox: UnboundedReceiver<M>,
    mut received: impl FnMut(M),
) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    // In reverse order, so that messages can be popped from the end.
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

/// Takes the messages of the inbox; `false` if there are none.
fn take<M>(inbox: &mut UnboundedReceiver<M>, batch: &mut Vec<M>, cx: &mut Context<'_>) -> bool {
    // An inbox whose topic is dropped stays empty; the connection itself ends the loop.
    let taken = matches!(inbox.poll_recv_many(cx, batch, MAX), Poll::Ready(1..));
    batch.reverse();
    taken
}

//! Whatever a large message holds, it is handled in pieces of less than a millisecond of work, as
//! that is counted, and so are the deliveries that it becomes.

use super::*;
use crate::protocol::websocket::deflate::Deflater;

/// A core's share for one connection in a turn.
const SHARE: u64 = 62_500;
/// The most work that a piece may take: less than a millisecond, and half of one for the copy of
/// 2 MiB when a message outgrows its vector.
const PIECE: u64 = 1_500_000;
const LEN: usize = 4 << 20;

/// `start`, then `part` until it is 4 MiB long, then `end`.
fn filled(start: &str, part: &str, end: &str) -> String {
    [start, &part.repeat(LEN / part.len()), end].concat()
}

fn requests() -> Vec<String> {
    let data = r#"{"id":1,"publish":"x","data":"#;
    let nested = "[".repeat(LEN / 2) + &"]".repeat(LEN / 2);
    vec![
        format!("{data}{nested}}}"),
        format!("{data}{}}}", filled("[0", ",[]", "]")),
        format!("{data}{}}}", filled("\"", "\\u0041", "\"")),
        format!("{data}{}}}", filled("[{}", ",{\"a\":{}}", "]")),
        filled(r#"{"id":1"#, r#","a":1"#, "}"),
        filled(r#"{"id":1,"data":[0"#, ",[]", "]]"),
        filled(r#"{"publish":"x","data":1,"id":""#, "a", "\"}"),
        filled(r#"{"subscribe":["a""#, r#","a""#, "]}"),
        filled(r#"{"subscribe":[[0"#, ",[]", "]]}"),
        filled(r#"{"subscribe":""#, "\\u0061", "\"}"),
        filled(r#"{"unsubscribe":{"a":[0"#, ",1", "]}}"),
        filled(r#"{"retain":[0"#, ",1e5", "]}"),
        filled(r#"{""#, "a", "\":1}"),
        filled(r#"{""#, "\\u0061", "\":1}"),
        filled("", " ", "1"),
    ]
}

/// A compressed text message of a client, with the masking key 0.
fn deflated(text: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    Deflater::new(15, 6).message(text.as_bytes(), &mut payload);
    compressed(&payload)
}

/// A message of this compressed payload.
fn compressed(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    append_frame(&mut frame, Opcode::Text, true, payload);
    frame[1] |= 0x80;
    let header = frame.len() - payload.len();
    frame.splice(header..header, [0; 4]);
    frame
}

/// Passes `bytes` as a loop does; returns the number of pieces.
fn pass(core: &mut Core<Echo>, client: &mut Client, bytes: &[u8]) -> usize {
    let mut pieces = 0;
    for received in bytes.chunks(16 << 10) {
        let mut rest = received.to_vec();
        while !rest.is_empty() {
            client.pools.work.begin_turn();
            client.pools.work.allow(SHARE);
            let handled = client.receive(core, &mut rest).0;
            pieces += 1;
            assert!(client.pools.work.used() < PIECE, "{}", client.pools.work.used());
            let at = if let Handled::Paused(at) = handled { at } else { rest.len() };
            rest.drain(..at);
        }
    }
    pieces
}

/// Blocks with dynamic Huffman codes and without content (RFC 1951 section 3.2.7): each makes the
/// decompressor build tables, and becomes nothing.
fn empty_blocks(count: usize) -> Vec<u8> {
    // The order of the lengths of the codes of lengths; only 18 and 1 are used, with one bit each.
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1];
    let mut bits: Vec<bool> = Vec::new();
    for _ in 0..count {
        let mut put = |value: u32, len: u32| bits.extend((0..len).map(|at| value >> at & 1 == 1));
        // Not the last block, dynamic codes; 257 codes of literals, one of distances, 18 lengths.
        for (value, len) in [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)] {
            put(value, len);
        }
        order.iter().for_each(|code| put(u32::from(matches!(code, 1 | 18)), 3));
        // 138 and 118 times the length 0; the length 1 for the end of the block and a distance;
        // then the end of the block.
        let codes = [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 1), (0, 1), (0, 1)];
        codes.iter().for_each(|(value, len)| put(*value, *len));
    }
    // An empty stored block, without the four bytes that senders remove.
    bits.extend([false; 3]);
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

/// A few bytes of compressed data can be much work although they become nothing.
#[test]
fn blocks_without_content_are_handled_in_pieces() {
    let [mut core, _] = cores();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, _) = Client::connect(&mut core, id(7), "/", offer);
    let blocks = empty_blocks(20_000);
    let pieces = pass(&mut core, &mut client, &compressed(&blocks));
    assert_eq!(client.session.phase(), Phase::Open, "the blocks are valid");
    assert!(pieces >= blocks.len() / (4 << 10), "{pieces} pieces of {} bytes", blocks.len());
}

#[test]
fn large_messages_are_handled_in_pieces() {
    let [mut core, mut other] = cores();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let mut subscriber = Client::json(&mut core, id(8));
    subscriber.send(&mut core, &[r#"{"subscribe":"x"}"#]);
    core.settle(&mut other);
    for text in requests() {
        let (before, data) = (core.published(), text.starts_with(r#"{"id":1,"publish""#));
        let (mut client, _) = Client::connect(&mut core, id(7), "/pubsub", offer);
        let pieces = pass(&mut core, &mut client, &deflated(&text));
        assert!(pieces > LEN / (128 << 10), "{pieces} pieces of {text:.40}");
        assert_eq!(core.published() - before, u64::from(data), "{text:.40}");
        // Its encoding takes several turns, too.
        assert_eq!(core.gateway.has_room_for(LEN), !data);
        let mut turns = 0;
        while !core.gateway.has_room_for(LEN) {
            core.turn();
            turns += 1;
        }
        assert_eq!(turns > 1, data, "{turns} turns for {text:.40}");
        close(&mut core, client);
    }
}

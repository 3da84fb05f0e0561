//! Goal: a message that is encoded in pieces becomes what it would become at once. Method: random
//! messages, for all subsets of forms, encoded in both ways.

use std::time::Duration;

use super::*;
use crate::pubsub::delivery::batch::Batch;
use crate::pubsub::encoding::{Form, Forms, Scratch};
use crate::pubsub::name::Topic;

fn recipients(forms: &[Form]) -> Recipients {
    let local = forms.iter().fold(Forms::EMPTY, |all, form| all.with(*form));
    Recipients { local, ..Recipients::default() }
}

fn all_forms() -> Vec<Form> {
    let windows = [None, Some(9), Some(12), Some(15)];
    Codec::ALL.iter().flat_map(|codec| windows.map(|bits| Form::new(*codec, bits))).collect()
}

/// Encodes in pieces; `then` is added behind if there is room.
fn in_pieces(forms: &[Form], message: &Publication<'_>, then: &Publication<'_>) -> (Batch, bool) {
    let (mut large, mut pool) = (Large::new(recipients(forms), 5), Pool::new(6));
    let mut held = 0;
    while !large.is_done() {
        // The longest piece is what is compressed at once.
        assert!(large.step(message, &mut pool) <= Work::of_deflated(6, 9, 256 << 10, 0));
        assert!(large.len() >= held || large.len() + message.payload.len() * 4 >= held);
        held = large.len();
    }
    let mut builder = large.finish(message, None);
    assert!(builder.len() >= held && builder.version == 5);
    let has_room = builder.has_room(then.payload.len());
    if has_room {
        builder.add(then, None, &mut Scratch::default(), &mut pool);
    }
    (builder.finish(Duration::ZERO).batch, has_room)
}

fn in_one(forms: &[Form], messages: &[&Publication<'_>]) -> Batch {
    let mut builder = BatchBuilder::new(messages[0].topic, recipients(forms), 0);
    for message in messages {
        builder.add(message, None, &mut Scratch::default(), &mut Pool::new(6));
    }
    builder.finish(Duration::ZERO).batch
}

#[test]
fn a_message_in_pieces_becomes_the_same_frames() {
    let topic = Topic::new("t", 64).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let mut with_room = 0;
    for number in 0..60 {
        let len =
            random.choice([17_000, 40_000, 70_000, 200_000, 262_144, 262_145, 500_000]).unwrap();
        let list = format!("[{}0]", "[1.5e3,{\"a\":\"\u{e9}\"}],".repeat(len / 20));
        let payload = match number % 4 {
            0 => list.clone().into_bytes(),
            1 => list[..len / 2].into(),
            2 => (0..len).map(|_| random.u8(..)).collect(),
            _ => (0..len).map(|_| random.alphanumeric() as u8).collect::<Vec<u8>>(),
        };
        let of = Publication::of(&topic, &payload);
        let message = Publication { is_json: number % 8 == 0, ..of };
        let then = Publication::of(&topic, b"then");
        let forms: Vec<Form> = all_forms().into_iter().filter(|_| random.bool()).collect();
        let (batch, has_room) = in_pieces(&forms, &message, &then);
        let expected = match has_room {
            true => in_one(&forms, &[&message, &then]),
            false => in_one(&forms, &[&message]),
        };
        with_room += usize::from(has_room);
        for form in forms {
            let [found, expected] = [&batch, &expected].map(|batch| batch.encoded(form).unwrap());
            assert!(found.messages().eq(expected.messages()), "{number} {form:?} {len}");
            assert_eq!(found.last(), expected.last());
        }
    }
    assert!((3..50).contains(&with_room), "{with_room}");
}

#[test]
fn a_long_message_is_encoded_once_for_all_windows() {
    let topic = Topic::new("t", 64).unwrap();
    let payload = vec![b'1'; 300_000];
    let message = Publication::of(&topic, &payload);
    let (batch, _) = in_pieces(&all_forms(), &message, &message);
    assert!(batch.len() < Codec::COUNT * payload.len() + 2_000, "{}", batch.len());
    // Without subscribers there is nothing but what is retained.
    assert!(in_pieces(&[], &message, &message).0.len() < 2_000);
}

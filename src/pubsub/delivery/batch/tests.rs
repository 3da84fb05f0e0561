//! Which messages a batch takes, and what they become.

use super::*;
use crate::protocol::websocket::Opcode;
use crate::pubsub::encoding::Codec;

/// A batch of these payloads in these forms; and whether there was room for more after each.
fn batch(forms: &[Form], payloads: &[&[u8]]) -> (Batch, Vec<bool>) {
    let topic = Topic::new("t", 64).unwrap();
    let local = forms.iter().fold(Forms::EMPTY, |all, form| all.with(*form));
    let recipients = Recipients { local, ..Recipients::default() };
    let mut builder = BatchBuilder::new(&topic, recipients, 0);
    let (mut scratch, mut pool) = (Scratch::default(), Pool::new(6));
    let add = |payload: &&[u8]| {
        let message = Publication { opcode: Opcode::Binary, ..Publication::of(&topic, payload) };
        builder.add(&message, None, &mut scratch, &mut pool);
        builder.has_room(payload.len())
    };
    let room = payloads.iter().map(add).collect();
    (builder.finish(Duration::ZERO).batch, room)
}

#[test]
fn a_batch_ends_at_64_kib_of_any_form() {
    let payload = [0x80; 15_000];
    let (_, room) = batch(&[Form::RAW], &[&payload[..]; 5]);
    assert_eq!(room, [true, true, true, true, false]);
    // In JSON that is a third longer.
    let (_, room) = batch(&[Form::RAW, Form::JSON], &[&payload[..]; 4]);
    assert_eq!(room, [true, true, true, false]);
}

#[test]
fn only_what_gets_shorter_and_is_not_too_long_is_compressed() {
    let deflated = Form::new(Codec::Raw, Some(15));
    let mut random = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..500).map(|_| random.u8(..)).collect();
    let (most, least) = (vec![b'x'; 256 << 10], vec![b'x'; 64]);
    let (longer, shorter) = (vec![b'x'; (256 << 10) + 1], vec![b'x'; 63]);
    let payloads: [&[u8]; 6] = [&noise, &most, &longer, &least, &shorter, b""];
    let (batch, _) = batch(&[deflated], &payloads);
    let encoded = batch.encoded(deflated).unwrap();
    let compressed: Vec<bool> = encoded.messages().map(|m| m[0] & 0x40 != 0).collect();
    assert_eq!(compressed, [false, true, false, true, false, false]);
    for (message, payload) in encoded.messages().zip(payloads) {
        assert_eq!(message.ends_with(payload), message[0] & 0x40 == 0);
        assert!(message.len() <= payload.len() + 10);
    }
    assert_eq!(encoded.count(), 6);
}

#[test]
fn a_retained_value_is_added_in_forms_that_were_not_known() {
    let topic = Topic::new("t", 64).unwrap();
    let deflated = Form::new(Codec::Raw, Some(15));
    let local = Forms::EMPTY.with(deflated);
    let mut builder = BatchBuilder::new(&topic, Recipients { local, ..Recipients::default() }, 0);
    let (mut scratch, mut pool) = (Scratch::default(), Pool::new(6));
    let value = Value { bytes: Bytes::from_static(b"[1]"), opcode: Opcode::Text, is_json: false };
    for value in [None, Some(value)] {
        let retain = value.is_some();
        let message = Publication { retain, ..Publication::of(&topic, b"[1]") };
        let version = Version { clock: 1, core: 0 };
        let retain = value.map(|value| Retain { version, value: Some(value) });
        builder.add(&message, retain, &mut scratch, &mut pool);
    }
    let batch = builder.finish(Duration::ZERO).batch;
    assert!(batch.lacking(local).is_empty());
    let json = Form::new(Codec::Json, Some(9));
    let lines = Form::new(Codec::Lines, None);
    let lacking = batch.lacking(local.with(json).with(Form::RAW).with(lines));
    assert!(lacking.iter().eq([Form::RAW, json.plain(), lines]), "{lacking:?}");
    let (more, work) = batch.completed(lacking);
    assert!(work > 0);
    assert_eq!(more.encoded(deflated).unwrap().count(), 2);
    assert_eq!(more.encoded(Form::RAW).unwrap().bytes[..], *b"\x81\x03[1]");
    let text = br#"{"topic":"t","data":[1]}"#;
    assert_eq!(more.encoded(json).unwrap().bytes[2..], *text);
    assert_eq!(more.encoded(lines).unwrap().bytes[..], *b"t: [1]\n");
    assert!(more.len() > batch.len() + text.len());
}

#[test]
fn it_is_known_where_the_last_message_begins() {
    for count in 1..4 {
        let payloads: Vec<&[u8]> = [&b"first"[..], b"", b"last"][3 - count..].to_vec();
        let (batch, _) = batch(&[Form::RAW], &payloads);
        let encoded = batch.encoded(Form::RAW).unwrap();
        assert_eq!(encoded.bytes[encoded.last()..], *b"\x82\x04last");
        assert_eq!(encoded.messages().count(), count);
    }
}

use bytes::Bytes;

use super::*;

fn text(length: usize) -> Outgoing {
    Outgoing::packet("x".repeat(length).into())
}

fn queue() -> OutboundQueue {
    OutboundQueue::new(&Ledger::new(usize::MAX))
}

fn payload(queue: &mut OutboundQueue) -> Vec<String> {
    let mut writer = PayloadWriter::default();
    queue.drain_payload(&mut writer);
    writer
        .finish()
        .split('\u{1e}')
        .filter(|p| !p.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_tail_and_the_attachments_follow_the_shared_head() {
    let mut queue = queue();
    let attachments: Arc<[Bytes]> = [Bytes::from_static(&[1, 2, 3, 4])].into();
    queue.push(
        Outgoing::packet("451-[\"m\"".into())
            .with_tail("]")
            .with_attachments(attachments),
        1000,
    );
    assert_eq!(payload(&mut queue), ["451-[\"m\"]", "bAQIDBA=="]);
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn a_polling_answer_holds_sixteen_packets_and_never_splits_a_message() {
    let mut queue = queue();
    for _ in 0..14 {
        queue.push(text(1), 100_000);
    }
    let attachments: Arc<[Bytes]> = vec![Bytes::from_static(b"a"); 3].into();
    queue.push(text(1).with_attachments(attachments), 100_000);
    queue.push(text(1), 100_000);
    assert_eq!(payload(&mut queue).len(), 14);
    assert_eq!(payload(&mut queue).len(), 5);
    assert!(queue.is_empty());
}

#[test]
fn volatile_messages_make_way_first() {
    let mut queue = queue();
    let limit = 3 * text(100).cost();
    assert_eq!(queue.push(text(100), limit), Pushed::Queued);
    assert_eq!(queue.push(text(100).volatile(), limit), Pushed::Queued);
    assert_eq!(queue.push(text(100), limit), Pushed::Queued);
    assert_eq!(
        queue.push(text(100), limit),
        Pushed::Queued,
        "in the place of the volatile one"
    );
    assert_eq!(queue.push(text(100).volatile(), limit), Pushed::Dropped);
    assert_eq!(queue.push(text(100), limit), Pushed::Overflow);
    assert_eq!(queue.bytes(), limit);
}

#[test]
fn one_message_over_the_limit_fits_into_an_empty_queue() {
    let mut queue = queue();
    assert_eq!(queue.push(text(5000), 1000), Pushed::Queued);
    assert_eq!(queue.push(text(1), 1000), Pushed::Overflow);
}

#[test]
fn a_drained_queue_gives_its_memory_back() {
    let mut queue = queue();
    for _ in 0..100 {
        queue.push(text(10), 1_000_000);
    }
    let mut chunk = Chunk::default();
    queue.drain_frames(usize::MAX, false, &mut chunk);
    assert_eq!(chunk.bytes.len(), 100 * 12);
    assert!(queue.messages.capacity() <= RETAINED_CAPACITY);
}

#[test]
fn a_polling_answer_that_is_long_takes_no_further_message() {
    let mut queue = queue();
    for _ in 0..3 {
        queue.push(text(POLLING_TARGET - 1), usize::MAX);
    }
    assert_eq!(payload(&mut queue).len(), 2);
    assert_eq!(payload(&mut queue).len(), 1);
}

/// Writes everything, so many bytes at a time, with a message pushed in between.
fn written_in_portions(portion: usize) -> (Vec<u8>, usize) {
    let mut queue = queue();
    let attachments: Arc<[Bytes]> = vec![Bytes::from_static(b"bin"); 2].into();
    for message in [
        text(10).with_tail("end"),
        text(300),
        text(1).with_attachments(attachments),
    ] {
        queue.push(message, usize::MAX);
    }
    let (mut out, mut chunk, mut turns) = (Vec::new(), Chunk::default(), 0);
    loop {
        chunk.bytes.extend_from_slice(b"lead");
        queue.drain_frames(200, false, &mut chunk);
        if chunk.bytes.len() == 4 {
            return (out, turns);
        }
        let written = portion.min(chunk.bytes.len());
        out.extend_from_slice(chunk.bytes.get(4..written).unwrap_or_default());
        queue.put_back(&mut chunk, written);
        chunk.recycle(usize::MAX);
        if turns == 1 {
            queue.push(text(2), usize::MAX);
        }
        turns += 1;
        assert!(turns < 1000);
    }
}

#[test]
fn what_the_kernel_does_not_take_waits_and_goes_out_once_and_in_order() {
    let whole = written_in_portions(usize::MAX).0;
    for portion in 5..400 {
        assert_eq!(written_in_portions(portion).0, whole, "{portion} bytes at a time");
    }
}

#[test]
fn a_message_that_the_client_has_the_beginning_of_is_not_dropped() {
    let mut queue = queue();
    queue.push(text(100).volatile(), usize::MAX);
    queue.push(text(100).volatile(), usize::MAX);
    let mut chunk = Chunk::default();
    queue.drain_frames(usize::MAX, false, &mut chunk);
    queue.put_back(&mut chunk, 10);
    queue.drop_volatile();
    queue.push(text(7), usize::MAX);
    queue.forget_unsent();
    chunk.recycle(0);
    queue.drain_frames(usize::MAX, false, &mut chunk);
    assert_eq!(chunk.bytes.len(), 102 - 10);
    queue.clear();
    assert_eq!((queue.bytes(), queue.held(), queue.is_empty()), (0, 0, true));
}

#[test]
fn the_ledger_holds_what_waits_and_nothing_else() {
    let ledger = Ledger::new(usize::MAX);
    let shared = ledger.share("x".repeat(1000).into());
    let mut queues: Vec<_> = (0..10).map(|_| OutboundQueue::new(&ledger)).collect();
    for queue in &mut queues {
        queue.push(Outgoing::shared(shared.clone()).with_tail("own"), usize::MAX);
        queue.push(text(1500).volatile(), usize::MAX);
    }
    drop(shared);
    assert_eq!(
        ledger.bytes(),
        1000 + queues.iter().map(OutboundQueue::held).sum::<usize>()
    );
    assert!(ledger.bytes() < 1000 + 10 * 2000, "the shared text is there once");
    let mut chunk = Chunk::default();
    queues[0].drain_frames(usize::MAX, false, &mut chunk);
    assert_eq!(queues[0].held(), 0);
    queues[0].put_back(&mut chunk, 5);
    chunk.recycle(0);
    assert_eq!(queues[0].held(), queues[1].held());
    queues[1].drop_volatile();
    queues[2].clear();
    queues[3].forget_unsent();
    drop(queues);
    assert_eq!(ledger.bytes(), 0);
}

#[test]
fn what_is_gone_in_a_moment_is_not_counted() {
    let ledger = Ledger::new(usize::MAX);
    let mut queue = OutboundQueue::new(&ledger);
    queue.push(text(100), usize::MAX);
    assert_eq!(ledger.bytes(), 0);
    queue.push(text(UNCOUNTED), usize::MAX);
    assert_eq!(ledger.bytes(), queue.held());
    assert!(queue.held() > 100 + UNCOUNTED);
    queue.clear();
    assert_eq!(ledger.bytes(), 0);
}

#[test]
fn waiting_is_counted_from_when_the_transport_last_took_something() {
    let mut queue = queue();
    assert_eq!(queue.waits_since(), None);
    queue.push(text(100), usize::MAX);
    queue.push(text(100), usize::MAX);
    let since = queue.waits_since();
    let mut chunk = Chunk::default();
    queue.drain_frames(usize::MAX, false, &mut chunk);
    assert_eq!(queue.waits_since(), None);
    queue.put_back(&mut chunk, 0);
    assert_eq!(queue.waits_since(), since, "nothing was taken");
    chunk.recycle(0);
    queue.drain_frames(usize::MAX, false, &mut chunk);
    queue.put_back(&mut chunk, 1);
    assert!(queue.waits_since() > since);
}

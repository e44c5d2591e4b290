//! A recording that is whole is found whole, and one that is not is found out.

mod common;

use common::{Broadcast, WALL_US, broadcast, cut_short, is_segment, manifest, verified};
use peerstream_protocol::id::Seq;
use peerstream_recording::{Check, Fault, Item, Payload, Report, StreamMeta, UnprovenMeta};

const SEGMENTS: u64 = 40;

fn faults(report: &Report) -> Vec<(u64, Fault)> {
    report.findings.iter().map(|finding| (finding.seq.map_or(u64::MAX, |seq| seq.0), finding.fault.clone())).collect()
}

/// The positions of the segments among the items.
fn at(broadcast: &Broadcast, seq: u64) -> usize {
    let of = |item: &Item| matches!(item, Item::Segment(it) if it.header.core.seq.0 == seq);
    broadcast.items.iter().position(of).unwrap()
}

#[test]
fn a_whole_recording_is_clean_and_its_end_is_proven() {
    let it = broadcast(1, 7, SEGMENTS);
    for manifest in [None, Some(manifest(0, SEGMENTS, &[]))] {
        let report = verified(&it.meta, manifest, &it.items);
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.whole, report.ended), (SEGMENTS, true));
        assert_eq!(report.seqs, Some((Seq(0), Seq(SEGMENTS - 1))));
        assert_eq!(report.wall_us, Some((WALL_US, WALL_US + (SEGMENTS - 1) * 200_000)));
    }
}

#[test]
fn a_gap_that_is_named_is_no_fault_and_one_that_is_not_is_missing() {
    let mut it = broadcast(1, 7, SEGMENTS);
    let (from, to) = (at(&it, 10), at(&it, 14));
    it.items.drain(from..to);
    let named = verified(&it.meta, Some(manifest(0, SEGMENTS, &[(10, 12)])), &it.items);
    assert_eq!(named.gaps, [(Seq(10), Seq(12))]);
    assert_eq!(faults(&named), [(12, Fault::Missing { end: Seq(14) })]);
    let finding = named.findings[0].to_string();
    assert_eq!(finding, "2027-01-15 08:00:01.800 UTC: segment 12: missing up to segment 13");
    assert!(verified(&it.meta, Some(manifest(0, SEGMENTS, &[(10, 14)])), &it.items).is_clean());
}

#[test]
fn where_a_broadcast_was_cut_short_is_told_and_is_no_fault() {
    let mut it = cut_short(1, 7, SEGMENTS, &[11, 20]);
    let (from, to) = (at(&it, 18), at(&it, 20));
    // An init is among them.
    let lost: Vec<_> = it.items.drain(from..to).filter(|item| !is_segment(item)).collect();
    it.items.splice(from..from, lost);
    let report = verified(&it.meta, Some(manifest(0, SEGMENTS, &[(18, 20)])), &it.items);
    assert!(report.is_clean(), "{report:?}");
    let told: Vec<_> = report.resumed.iter().map(|it| (it.seq.0, it.missing_from.0, it.pause_us)).collect();
    assert_eq!(told, [(11, 11, 0), (20, 18, 400_000)]);
    // Whoever takes something out of it cannot put it on a crash: the chain says what was before, or the manifest must name it.
    let unnamed = verified(&it.meta, Some(manifest(0, SEGMENTS, &[])), &it.items);
    assert_eq!(faults(&unnamed), [(18, Fault::Missing { end: Seq(20) })]);
    let whole = cut_short(1, 7, SEGMENTS, &[20]);
    assert_eq!(faults(&verified(&whole.meta, None, &whole.items)), [(20, Fault::ChainBroken)]);
}

#[test]
fn what_is_missing_at_either_end_is_missed() {
    let mut it = broadcast(1, 7, SEGMENTS);
    it.items.truncate(at(&it, 30));
    let report = verified(&it.meta, Some(manifest(0, SEGMENTS, &[])), &it.items);
    assert_eq!(faults(&report), [(30, Fault::Missing { end: Seq(SEGMENTS) })]);
    assert!(!report.ended);
    let first = at(&it, 3);
    it.items.drain(1..first);
    let report = verified(&it.meta, Some(manifest(0, 30, &[])), &it.items);
    assert_eq!(faults(&report), [(0, Fault::Missing { end: Seq(3) })]);
    let nothing = verified(&it.meta, Some(manifest(0, 30, &[])), &[]);
    assert_eq!(faults(&nothing), [(0, Fault::Missing { end: Seq(30) })]);
}

#[test]
fn what_is_out_of_place_or_there_twice_is_told_apart() {
    let mut it = broadcast(1, 7, SEGMENTS);
    let (one, two) = (at(&it, 5), at(&it, 8));
    it.items.swap(one, two);
    let report = verified(&it.meta, None, &it.items);
    assert!(faults(&report).contains(&(5, Fault::Reordered)), "{report:?}");
    it.items.swap(one, two);
    it.items.insert(two, it.items[one].clone());
    assert_eq!(faults(&verified(&it.meta, None, &it.items)), [(5, Fault::Doubled)]);
}

#[test]
fn another_broadcasts_segment_is_foreign_and_the_one_it_replaced_is_missing() {
    let (mut it, other) = (broadcast(1, 7, SEGMENTS), broadcast(1, 8, SEGMENTS));
    let place = at(&it, 20);
    it.items[place] = other.items[place].clone();
    let report = verified(&it.meta, None, &it.items);
    assert_eq!(faults(&report), [(20, Fault::Foreign), (20, Fault::Missing { end: Seq(21) })]);
}

#[test]
fn one_byte_of_a_payload_is_found_with_its_piece() {
    let mut it = broadcast(1, 7, SEGMENTS);
    let place = (0..it.items.len())
        .find(|place| matches!(&it.items[*place], Item::Segment(segment) if segment.payload.len() > 5_000))
        .unwrap();
    let Item::Segment(segment) = &mut it.items[place] else { unreachable!() };
    let mut payload = segment.payload.to_vec();
    payload[4_500] ^= 1;
    segment.payload = payload.into();
    let seq = segment.header.core.seq;
    let report = verified(&it.meta, None, &it.items);
    assert_eq!(faults(&report), [(seq.0, Fault::PayloadAltered { from: 4_096, to: 8_192 })]);
}

#[test]
fn headers_of_what_is_withheld_still_hold_the_chain() {
    let it = broadcast(1, 7, SEGMENTS);
    let mut check = Check::new(&it.meta, None).unwrap();
    for item in &it.items {
        match item {
            Item::Init { id, encoded } => check.init(*id, encoded),
            Item::Segment(segment) if (10..20).contains(&segment.header.core.seq.0) => {
                check.segment(&segment.encoded, Payload::Withheld);
            }
            Item::Segment(segment) => check.segment(&segment.encoded, Payload::Whole(&segment.payload)),
        }
    }
    let report = check.finish();
    assert!(report.is_clean());
    assert_eq!((report.whole, report.withheld), (SEGMENTS - 10, 10));
}

#[test]
fn a_word_on_the_broadcast_that_proves_nothing_is_refused() {
    let (it, other) = (broadcast(1, 7, 2), broadcast(2, 7, 2));
    let refused = |change: &dyn Fn(&mut StreamMeta)| {
        let mut meta = it.meta.clone();
        change(&mut meta);
        meta.prove().unwrap_err()
    };
    assert_eq!(refused(&|meta| meta.stream = "abc".into()), UnprovenMeta::Stream);
    assert_eq!(refused(&|meta| meta.cert = "abc".into()), UnprovenMeta::Unreadable);
    assert_eq!(refused(&|meta| meta.cert = "ab".repeat(3_000)), UnprovenMeta::Unreadable);
    assert_eq!(refused(&|meta| meta.cert = other.meta.cert.clone()), UnprovenMeta::Other);
    assert_eq!(refused(&|meta| meta.epoch.0 += 1), UnprovenMeta::Other);
    let forged = |meta: &mut StreamMeta| {
        let last = meta.cert.pop().unwrap();
        meta.cert.push(if last == '0' { '1' } else { '0' });
    };
    assert_eq!(refused(&forged), UnprovenMeta::Forged);
}

/// Chance that is the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)) % end as u64) as usize
    }
}

fn flipped(bytes: &[u8], dice: &mut Dice) -> bytes::Bytes {
    let mut bytes = bytes.to_vec();
    let at = dice.below(bytes.len());
    bytes[at] ^= 1 << dice.below(8);
    bytes.into()
}

/// One change of a recording, anywhere; what was done, in words.
fn mutate(it: &mut Broadcast, others: &[Broadcast], dice: &mut Dice) -> String {
    let segments: Vec<_> = (0..it.items.len()).filter(|at| is_segment(&it.items[*at])).collect();
    let item = dice.below(it.items.len());
    let segment = segments[dice.below(segments.len())];
    match dice.below(5) {
        0 => {
            match &mut it.items[item] {
                Item::Init { encoded, .. } => *encoded = flipped(encoded, dice),
                Item::Segment(segment) if segment.payload.is_empty() || dice.below(2) == 0 => {
                    segment.encoded = flipped(&segment.encoded, dice);
                }
                Item::Segment(segment) => segment.payload = flipped(&segment.payload, dice),
            }
            format!("flip in {item}")
        }
        1 => {
            it.items.remove(item);
            format!("drop {item}")
        }
        // Inits are found by their ids, so only segments have an order.
        2 => {
            let other = (segments.iter().position(|at| *at == segment).unwrap() + 1 + dice.below(segments.len() - 1))
                % segments.len();
            it.items.swap(segment, segments[other]);
            format!("swap {segment} and {}", segments[other])
        }
        3 => {
            let other = &others[dice.below(others.len())];
            it.items[segment] = other.items[segment].clone();
            format!("replace {segment}")
        }
        _ => {
            let other = &others[dice.below(others.len())];
            it.items.insert(item, other.items[segment].clone());
            format!("insert {segment} before {item}")
        }
    }
}

#[test]
fn a_thousand_random_changes_are_all_caught() {
    let others = [broadcast(1, 8, SEGMENTS), broadcast(2, 7, SEGMENTS), broadcast(3, 9, SEGMENTS)];
    let clean = broadcast(1, 7, SEGMENTS);
    for seed in 0..1_000 {
        let mut it = Broadcast { meta: clean.meta.clone(), items: clean.items.clone() };
        let done = mutate(&mut it, &others, &mut Dice(seed));
        let report = verified(&it.meta, Some(manifest(0, SEGMENTS, &[])), &it.items);
        assert!(!report.is_clean(), "seed {seed}: {done} was not caught");
        let named = report.findings.iter().all(|finding| match finding.fault {
            Fault::InitAltered { .. } => true,
            _ => finding.seq.is_some(),
        });
        assert!(named, "seed {seed}: {done}: {report:?}");
    }
}

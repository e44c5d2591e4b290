//! Fixtures and a cutter that is run to its end.
#![allow(dead_code)]

pub mod samples;
pub mod tools;

use std::path::PathBuf;

use peerstream_media::Cutter;
use peerstream_traits::ingest::{IngestEvent, Unit};

/// Everything a cutter said about an input.
#[derive(Debug, Default)]
pub struct Cut {
    pub events: Vec<IngestEvent>,
    pub error: Option<String>,
}

impl Cut {
    /// Cuts an input `passes` times in a row.
    pub fn of(input: &[u8], passes: usize) -> Self {
        let (mut cutter, mut cut) = (Cutter::new(), Self::default());
        for pass in 0..passes {
            if pass > 0 {
                cutter.again();
            }
            let pushed = cutter.push(input);
            if pushed.is_ok() {
                cutter.finish();
            }
            cut.events.extend(std::iter::from_fn(|| cutter.poll()));
            cut.error = pushed.err().map(|error| error.to_string());
        }
        cut
    }

    pub fn units(&self) -> Vec<&Unit> {
        self.events
            .iter()
            .filter_map(|event| if let IngestEvent::Unit(unit) = event { Some(unit) } else { None })
            .collect()
    }

    pub fn advice<'a>(&'a self) -> Vec<&'a str> {
        let text =
            |event: &'a IngestEvent| if let IngestEvent::Advice(text) = event { Some(text.as_str()) } else { None };
        self.events.iter().filter_map(text).collect()
    }

    pub fn mimes<'a>(&'a self) -> Vec<&'a str> {
        let mime = |event: &'a IngestEvent| {
            if let IngestEvent::Init { mime, .. } = event { Some(mime.as_str()) } else { None }
        };
        self.events.iter().filter_map(mime).collect()
    }

    /// What a player appends: the init and all units.
    pub fn played(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in &self.events {
            match event {
                IngestEvent::Init { bytes: init, .. } => bytes.extend_from_slice(init),
                IngestEvent::Unit(unit) => bytes.extend_from_slice(&unit.payload),
                IngestEvent::Title(_) | IngestEvent::Advice(_) => {}
            }
        }
        bytes
    }
}

/// The bytes of a fixture.
pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read([env!("CARGO_MANIFEST_DIR"), "tests/fixtures", name].iter().collect::<PathBuf>()).unwrap()
}

/// A fixture, cut once.
pub fn cut(name: &str) -> Cut {
    Cut::of(&fixture(name), 1)
}
